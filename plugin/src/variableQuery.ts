import type { DataQueryResponse, MetricFindValue } from '@grafana/data';

import type { IncidentLensQuery } from './types';

/** What a dashboard variable may list. */
export const VARIABLES = [
  { value: 'service', label: 'Services' },
  { value: 'incident', label: 'Incidents', description: 'seen in the time range; shows titles, gives ids' },
  { value: 'signature', label: 'Signatures' },
  { value: 'runbook', label: 'Runbooks' },
  { value: 'severity', label: 'Severities' },
  { value: 'disposition', label: 'Dispositions' },
  { value: 'status', label: 'Statuses' },
  { value: 'outcome', label: 'Verification outcomes' },
  { value: 'level', label: 'Log levels' },
];

/** A variable's query: its object, or as short text the name alone (`service`). */
export function variableQuery(query: string | Partial<IncidentLensQuery> | undefined): Partial<IncidentLensQuery> {
  if (typeof query === 'string') {
    const variable = query.trim();
    return variable === '' ? {} : { variable };
  }
  return query ?? {};
}

/** The values in an answer of query type `variable`. Throws what the answer says went wrong. */
export function namesIn(response: DataQueryResponse): MetricFindValue[] {
  const failed = response.errors?.[0] ?? response.error;
  if (failed) {
    throw new Error(failed.data?.message ?? failed.message ?? 'IncidentLens gave no names; its log says why');
  }
  return response.data.flatMap((frame) => {
    const column = (name: string): unknown[] | undefined => {
      const values = frame.fields?.find((field: { name: string }) => field.name === name)?.values;
      // 9.4 keeps them in vectors.
      return values === undefined ? undefined : Array.from(values.toArray?.() ?? values);
    };
    const texts = column('text') ?? column('__text') ?? [];
    const values = column('value') ?? column('__value') ?? texts;
    return texts.map((text, at) => ({ text: String(text), value: String(values[at] ?? text) }));
  });
}
