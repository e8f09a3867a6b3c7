import type { ScopedVars } from '@grafana/data';
import type { TemplateSrv } from '@grafana/runtime';

import { LIST_KEYS, TEXT_KEYS, type AdHocFilter, type IncidentLensQuery } from './types';

// Values of a variable come through a text: these stand around and between them, and in no name.
const OPEN = '\u0002';
const BETWEEN = '\u001f';
const CLOSE = '\u0003';
const MOST = 500; // values of one filter; the backend takes no more

const ALL = new Set(['*', '.*', '$__all']);

type Replace = Pick<TemplateSrv, 'replace'>;

/** One entry of a list with its variables filled in: as many entries as the variables have values. */
export function spread(entry: string, templates: Replace, scoped?: ScopedVars): string[] {
  const marked = templates.replace(entry, scoped, (value: unknown) => {
    const values = Array.isArray(value) ? value : [value];
    return OPEN + values.map(String).join(BETWEEN) + CLOSE;
  });
  let found = [''];
  for (const part of marked.split(OPEN)) {
    const end = part.indexOf(CLOSE);
    const values = end < 0 ? [''] : part.slice(0, end).split(BETWEEN, MOST + 1);
    const rest = part.slice(end + 1);
    found = found.flatMap((before) => values.map((value) => before + value + rest)).slice(0, MOST + 1);
  }
  return found.filter((value) => value !== '');
}

/** The query with every variable filled in; a list that comes to hold "everything" is no condition. */
export function filled(
  query: IncidentLensQuery,
  templates: Replace,
  scoped?: ScopedVars,
  adhoc: AdHocFilter[] = []
): IncidentLensQuery {
  const out: IncidentLensQuery = { ...query };
  for (const key of LIST_KEYS) {
    const given: unknown = query[key];
    if (given === undefined || given === null) {
      continue;
    }
    // A dashboard written by hand may hold a single text.
    const entries = (Array.isArray(given) ? given : [given]).map(String);
    const values = [...new Set(entries.flatMap((entry) => spread(entry, templates, scoped)))];
    out[key] = values.some((value) => ALL.has(value)) ? [] : values;
  }
  for (const key of TEXT_KEYS) {
    const given: unknown = query[key];
    if (typeof given === 'string') {
      out[key] = templates.replace(given, scoped, 'csv');
    }
  }
  // What an unset variable leaves behind in a dashboard's JSON is a text; the backend wants a number.
  const limit: unknown = query.limit;
  if (typeof limit === 'string') {
    const number = Number(templates.replace(limit, scoped));
    out.limit = Number.isFinite(number) && number > 0 ? Math.floor(number) : undefined;
  }
  const filters = [...(query.adhocFilters ?? []), ...adhoc].filter((each) => each.key !== '' && (each.value !== '' || (each.values?.length ?? 0) > 0));
  if (filters.length > 0) {
    out.adhocFilters = filters.map(({ key, operator, value, values }) => ({
      key,
      operator,
      value: templates.replace(value, scoped),
      ...(values ? { values } : {}),
    }));
  }
  return out;
}
