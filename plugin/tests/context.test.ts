import type { LogRowModel } from '@grafana/data';
import { describe, expect, test } from 'vitest';

import { hasPlaceInLoki, placeOf } from '../src/context';

function row(url: unknown, vector = false): LogRowModel {
  const values = ['other', url];
  // Vectors are how 9.4 keeps columns.
  const kept = vector ? { get: (at: number) => values[at], length: values.length } : values;
  return { rowIndex: 1, dataFrame: { fields: [{ name: 'loki_around', values: kept }] } } as unknown as LogRowModel;
}

const left = { datasource: 'loki', queries: [{ refId: 'A', expr: '{app="a"}' }], range: { from: '1', to: '2' } };
const url = `/explore?left=${encodeURIComponent(JSON.stringify(left))}`;

describe('the place of a line in Loki', () => {
  test.each([false, true])('comes from its link (vectors: %s)', (vector) => {
    expect(placeOf(row(url, vector))).toEqual({ uid: 'loki', expr: '{app="a"}' });
    expect(hasPlaceInLoki(row(url, vector))).toBe(true);
  });

  test.each([undefined, null, '', '/explore', '/explore?left=%7B', '/explore?left=null', 7])('is none for %s', (given) => {
    expect(placeOf(row(given))).toBeUndefined();
  });

  test('is none without such a column', () => {
    expect(hasPlaceInLoki({ rowIndex: 0, dataFrame: { fields: [] } } as unknown as LogRowModel)).toBe(false);
  });
});
