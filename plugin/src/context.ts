import {
  FieldType,
  dateTime,
  toDataFrame,
  type DataFrame,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceApi,
  type Field,
  type LogRowContextOptions,
  type LogRowModel,
} from '@grafana/data';
import type { DataQuery } from '@grafana/schema';
import { getDataSourceSrv } from '@grafana/runtime';
import { lastValueFrom, isObservable } from 'rxjs';

const AROUND_MS = 10 * 60_000;
const LINES = 50;

interface LokiQuery extends DataQuery {
  expr: string;
  queryType?: string;
  direction?: string;
  maxLines?: number;
}

interface Place {
  uid: string;
  expr: string;
}

/** The stream that a line of evidence stands in, out of its link to Loki. Undefined where it has none. */
export function placeOf(row: LogRowModel): Place | undefined {
  const values = row.dataFrame?.fields.find((field) => field.name === 'loki_around')?.values as
    | (ArrayLike<unknown> & { get?: (at: number) => unknown })
    | undefined;
  const url = values?.get ? values.get(row.rowIndex) : values?.[row.rowIndex];
  if (typeof url !== 'string') {
    return undefined;
  }
  try {
    const left = new URL(url, 'http://grafana.invalid').searchParams.get('left');
    const { datasource, queries } = JSON.parse(left ?? 'null') as { datasource: string; queries: LokiQuery[] };
    const expr = queries[0]?.expr;
    return expr ? { uid: datasource, expr } : undefined;
  } catch {
    return undefined;
  }
}

export function hasPlaceInLoki(row: LogRowModel): boolean {
  return placeOf(row) !== undefined;
}

/** The lines of the same stream before or after a line of evidence. */
export async function contextOf(row: LogRowModel, options?: LogRowContextOptions): Promise<DataQueryResponse> {
  const place = placeOf(row);
  if (place === undefined) {
    return { data: [] };
  }
  const loki: DataSourceApi<LokiQuery> = (await getDataSourceSrv().get({ uid: place.uid })) as never;
  const forward = String(options?.direction).toUpperCase() === 'FORWARD';
  const at = row.timeEpochMs;
  // Loki's ends are excluded, and a millisecond may hold several lines.
  const from = dateTime(forward ? at : at - AROUND_MS);
  const to = dateTime(forward ? at + AROUND_MS : at + 1);
  const query: LokiQuery = {
    refId: `incidentlens-context-${forward ? 'after' : 'before'}`,
    expr: place.expr,
    queryType: 'range',
    direction: forward ? 'forward' : 'backward',
    maxLines: options?.limit ?? LINES,
    datasource: { type: 'loki', uid: place.uid },
  };
  const answer = loki.query({
    targets: [query],
    range: { from, to, raw: { from, to } },
    requestId: query.refId,
    app: 'explore',
    interval: '1s',
    intervalMs: 1_000,
    maxDataPoints: LINES,
    scopedVars: {},
    timezone: 'utc',
    startTime: Date.now(),
  } as DataQueryRequest<LokiQuery>);
  const found = await (isObservable(answer) ? lastValueFrom(answer) : answer);
  return { ...found, data: [linesOf(found.data as DataFrame[], row, forward)] };
}

interface Line {
  ts: number;
  line: string;
  id: string;
}

/** One frame of lines as 9.4 wants them, by these names; later ones take the first time and the first text. */
export function linesOf(frames: readonly DataFrame[], row: LogRowModel, forward: boolean): DataFrame {
  const lines: Line[] = frames.flatMap((frame) => {
    const times = column(frame.fields.find((field) => field.type === FieldType.time));
    const texts = column(frame.fields.find((field) => field.type === FieldType.string));
    const ids = column(frame.fields.find((field) => field.name === 'id'));
    return texts.map((line, at) => ({ ts: Number(times[at]), line: String(line), id: String(ids[at] ?? `${at}`) }));
  });
  if (forward) {
    lines.reverse();
  }
  // Latest first; those of one millisecond stay as Loki gave them. An event of several lines is all of them.
  const others = lines.filter(({ ts, line }) => ts !== row.timeEpochMs || !row.entry.includes(line.trimEnd()));
  others.sort((one, other) => other.ts - one.ts);
  return toDataFrame({
    refId: frames[0]?.refId,
    meta: { preferredVisualisationType: 'logs' },
    fields: [
      { name: 'ts', type: FieldType.time, values: others.map((each) => each.ts) },
      { name: 'line', type: FieldType.string, values: others.map((each) => each.line) },
      { name: 'id', type: FieldType.string, values: others.map((each) => each.id) },
    ],
  });
}

// 9.4 keeps values in vectors.
function column(field: Field | undefined): unknown[] {
  const values = field?.values as (ArrayLike<unknown> & { toArray?: () => unknown[] }) | undefined;
  return values === undefined ? [] : (values.toArray?.() ?? Array.from(values));
}
