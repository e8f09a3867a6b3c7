import { describe, expect, test } from 'vitest';

import type { IncidentLensQuery } from '../src/types';
import { filled, spread } from '../src/variables';

// A template service as Grafana's: a function as format gets one value or a list of them.
function templates(values: Record<string, string | string[]>) {
  return {
    replace(text = '', _scoped?: unknown, format?: unknown) {
      return text.replace(/\$(\w+)/g, (whole, name: string) => {
        const value = values[name];
        if (value === undefined) {
          return whole;
        }
        if (typeof format === 'function') {
          return format(value) as string;
        }
        return Array.isArray(value) ? value.join(',') : value;
      });
    },
  };
}

const query = (rest: Partial<IncidentLensQuery>): IncidentLensQuery => ({ refId: 'A', queryType: 'incidents', ...rest });

describe('variables in lists', () => {
  test('a variable of several values becomes as many entries', () => {
    expect(spread('$service', templates({ service: ['a', 'b,c', '{d}'] }))).toEqual(['a', 'b,c', '{d}']);
  });

  test('text around a variable stays around each value', () => {
    expect(spread('db-$env-$n', templates({ env: ['x', 'y'], n: ['1', '2'] }))).toEqual([
      'db-x-1', 'db-x-2', 'db-y-1', 'db-y-2',
    ]);
  });

  test('a dollar sign that names no variable is a dollar sign', () => {
    expect(spread('price$', templates({}))).toEqual(['price$']);
  });

  test('everything is no condition, however it is written', () => {
    for (const all of ['*', '.*', '$__all']) {
      expect(filled(query({ service: ['$service'] }), templates({ service: all })).service).toEqual([]);
    }
  });

  test('doubled values are asked for once', () => {
    expect(filled(query({ service: ['a', '$s'] }), templates({ s: ['a', 'b'] })).service).toEqual(['a', 'b']);
  });

  test('a huge variable stays bounded', () => {
    const many = Array.from({ length: 2_000 }, (_, at) => `s${at}`);
    expect(spread('$a$a', templates({ a: many })).length).toBeLessThanOrEqual(501);
  });
});

describe('the rest of a query', () => {
  test('a single text where a list belongs is taken as one', () => {
    const byHand = { ...query({}), incidentId: '$incident' } as unknown as IncidentLensQuery;
    expect(filled(byHand, templates({ incident: 'inc-1' })).incidentId).toEqual(['inc-1']);
  });

  test('a limit written as a variable becomes a number, and nothing where it is none', () => {
    const byHand = (limit: string) => ({ ...query({}), limit }) as unknown as IncidentLensQuery;
    expect(filled(byHand('$n'), templates({ n: '20' })).limit).toBe(20);
    expect(filled(byHand('$n'), templates({ n: 'many' })).limit).toBeUndefined();
  });

  test('ad hoc filters of the dashboard join those of the query, half-written ones do not', () => {
    const own = query({ adhocFilters: [{ key: 'service', operator: '=', value: '$s' }] });
    const set = [
      { key: 'severity', operator: '!=', value: 'low' },
      { key: 'status', operator: '=', value: '' },
      { key: 'service', operator: '=|', value: 'a', values: ['a', 'b'] },
    ];
    expect(filled(own, templates({ s: 'orders' }), undefined, set).adhocFilters).toEqual([
      { key: 'service', operator: '=', value: 'orders' },
      { key: 'severity', operator: '!=', value: 'low' },
      { key: 'service', operator: '=|', value: 'a', values: ['a', 'b'] },
    ]);
  });

  test('the query itself is left as it was', () => {
    const before = query({ service: ['$s'] });
    filled(before, templates({ s: 'x' }));
    expect(before.service).toEqual(['$s']);
  });
});
