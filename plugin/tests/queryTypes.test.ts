import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { KINDS, changedType, kindOf } from '../src/queryTypes';
import { FACETS, LIST_KEYS, QUERY_TYPES, TERMS, TEXT_KEYS } from '../src/types';

const backend = join(__dirname, '../../sidecar/incidentlens/grafana/queries');
const python = (name: string) => readFileSync(join(backend, name), 'utf8');

describe('changing the query type', () => {
  test('keeps the filters that both types have and drops what the new one lacks', () => {
    const before = { refId: 'A', queryType: 'incidents' as const, service: ['orders'], sort: 'count', live: true };
    expect(changedType(before, 'verification')).toEqual({ refId: 'A', queryType: 'verification', service: ['orders'] });
  });

  test('drops a choice that means something else there', () => {
    const before = { refId: 'A', queryType: 'incidents' as const, sort: 'opened_at' };
    expect(changedType(before, 'signatures')).toEqual({ refId: 'A', queryType: 'signatures' });
  });
});

describe('every query type', () => {
  test.each(QUERY_TYPES)('%s has an example of its own with nothing but its own fields', (type) => {
    const { example, fields, needs } = KINDS[type];
    expect(example?.query.queryType).toBe(type);
    const keys = Object.keys(example?.query ?? {}).filter((key) => key !== 'queryType');
    expect(fields).toEqual(expect.arrayContaining(keys));
    expect(needs?.({ refId: 'A', ...example?.query })).toBeUndefined();
  });

  test('that is about one incident says so while none is named', () => {
    expect(kindOf('evidence')?.needs?.({ refId: 'A' })).toMatch(/incident/);
  });
});

describe.skipIf(!existsSync(backend))('the backend', () => {
  test('knows the same query types', () => {
    const known = [...python('registry.py').matchAll(/^    "(\w+)": \w+\.\w+,$/gm)].map((match) => match[1]);
    expect([...QUERY_TYPES, 'variable'].sort()).toEqual(known.sort());
  });

  test('knows every key of a query', () => {
    const body = python('query.py').split('class PanelQuery')[1]?.split('@field_validator')[0] ?? '';
    const camel = (name: string) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    const known = [...body.matchAll(/^    (\w+): /gm)].map((match) => camel(match[1] ?? ''));
    expect(known).toEqual(expect.arrayContaining([...LIST_KEYS, ...TEXT_KEYS, 'limit', 'timezone', 'adhocFilters']));
  });

  test('takes the same choices', () => {
    const tuple = (file: string, name: string) =>
      [...(new RegExp(`^${name} = \\(([^)]*)\\)`, 'm').exec(python(file))?.[1] ?? '').matchAll(/"(\w+)"/g)].map((m) => m[1]);
    const ours = (type: keyof typeof KINDS, field: 'kind' | 'state' | 'format') =>
      KINDS[type].choices?.[field]?.map((choice) => choice.value);
    expect(ours('evidence', 'kind')).toEqual(tuple('evidence.py', 'KINDS'));
    expect(ours('actions', 'state')).toEqual(tuple('actions.py', 'STATES'));
    expect(ours('verification', 'format')).toEqual(tuple('verification.py', 'FORMATS'));
    expect(ours('signatures', 'format')).toEqual(tuple('signatures.py', 'FORMATS'));
    expect(ours('timeline', 'format')).toEqual(tuple('timeline.py', 'FORMATS'));
    expect(ours('incident', 'format')).toEqual(tuple('incident.py', 'FORMATS'));
    expect(ours('health', 'format')).toEqual(tuple('health.py', 'FORMATS'));
    expect(ours('health', 'kind')).toEqual(tuple('health.py', 'KINDS'));
    expect([...FACETS].sort()).toEqual(tuple('filters.py', 'KEYS').sort());
  });

  test('has the same vocabularies', () => {
    const terms = readFileSync(join(backend, '../../model/terms.py'), 'utf8');
    for (const [key, ours] of Object.entries(TERMS)) {
      const name = key[0]?.toUpperCase() + key.slice(1);
      const body = terms.split(`class ${name}(StrEnum)`)[1]?.split('@property')[0]?.split('\nclass ')[0] ?? '';
      expect(ours).toEqual([...body.matchAll(/^    [A-Z_]+ = "(\w+)"/gm)].map((match) => match[1]));
    }
  });
});
