import { FieldType, toDataFrame, type LogRowModel } from '@grafana/data';
import { describe, expect, test } from 'vitest';

import { hasPlaceInLoki, linesOf, placeOf } from '../src/context';

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

describe('the lines around', () => {
  const focus = { timeEpochMs: 2, entry: 'boom\n  at x' } as LogRowModel;
  const frame = toDataFrame({
    refId: 'ctx',
    fields: [
      { name: 'labels', type: FieldType.other, values: [{}, {}, {}, {}] },
      { name: 'Time', type: FieldType.time, values: [2, 2, 2, 3] },
      { name: 'Line', type: FieldType.string, values: ['boom', '  at x', 'beside', 'later'] },
      { name: 'id', type: FieldType.string, values: ['a', 'x', 'b', 'c'] },
    ],
  });

  test('are the latest first, under the names that 9.4 looks for, without the line itself', () => {
    const { fields } = linesOf([frame], focus, true);
    expect(fields.map((field) => [field.name, Array.from(field.values)])).toEqual([
      ['ts', [3, 2]],
      ['line', ['later', 'beside']],
      ['id', ['c', 'b']],
    ]);
  });

  test('are an empty frame where Loki has none', () => {
    expect(linesOf([], focus, false).length).toBe(0);
  });
});
