import {
  LiveChannelConnectionState,
  LiveChannelScope,
  LoadingState,
  isLiveChannelMessageEvent,
  isLiveChannelStatusEvent,
  rangeUtil,
  type DataQueryRequest,
  type DataQueryResponse,
} from '@grafana/data';
import type { GrafanaLiveSrv } from '@grafana/runtime';
import { EMPTY, catchError, defer, exhaustMap, filter, map, merge, throttleTime, type Observable } from 'rxjs';

import type { IncidentLensQuery } from './types';

/** At most one new question in so many ms, however much changes; the last change is never missed. */
export const AT_MOST_EVERY_MS = 1_000;

type Ask = (request: DataQueryRequest<IncidentLensQuery>) => Observable<DataQueryResponse>;

/**
 * A signal for each packet of the channel "incidents", and when a lost connection is back: something may have changed.
 * The packets themselves are not shown: only the query knows its filters. Never fails: a dashboard still refreshes.
 */
export function changes(live: Pick<GrafanaLiveSrv, 'getStream'>, uid: string): Observable<void> {
  return defer(() => {
    let lost = false;
    // The uid is the `namespace` before 13, the `stream` from then on.
    const address = { scope: LiveChannelScope.DataSource, namespace: uid, stream: uid, path: 'incidents' };
    return live.getStream<unknown>(address).pipe(
      filter((event) => {
        if (!isLiveChannelStatusEvent(event)) {
          return isLiveChannelMessageEvent(event);
        }
        const back = lost && event.state === LiveChannelConnectionState.Connected;
        lost = event.state === LiveChannelConnectionState.Disconnected || (lost && !back);
        return back;
      })
    );
  }).pipe(
    map(() => undefined),
    catchError(() => EMPTY)
  );
}

/**
 * The answer now, and again whenever `changed` tells. A range that ends at "now" moves along.
 * Unsubscribing ends it all.
 */
export function following(
  request: DataQueryRequest<IncidentLensQuery>,
  changed: Observable<void>,
  ask: Ask
): Observable<DataQueryResponse> {
  const streaming = (response: DataQueryResponse): DataQueryResponse => {
    const failed = response.error !== undefined || (response.errors?.length ?? 0) > 0;
    return { ...response, key: `incidentlens-${request.requestId}`, ...(failed ? {} : { state: LoadingState.Streaming }) };
  };
  // The channel is open before the first answer comes, or a change in between would be missed.
  return merge(
    changed.pipe(
      throttleTime(AT_MOST_EVERY_MS, undefined, { leading: true, trailing: true }),
      exhaustMap(() => ask(atPresent(request)))
    ),
    ask(request)
  ).pipe(map(streaming));
}

/** The same request for the time that its words ("now-6h") mean at present. */
export function atPresent(request: DataQueryRequest<IncidentLensQuery>): DataQueryRequest<IncidentLensQuery> {
  const raw = request.range.raw;
  if (typeof raw.from !== 'string' && typeof raw.to !== 'string') {
    return request;
  }
  return { ...request, range: rangeUtil.convertRawToRange(raw, request.timezone) };
}
