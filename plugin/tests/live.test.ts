import { LiveChannelConnectionState, LiveChannelEventType, LoadingState, dateTime, type DataQueryRequest, type LiveChannelEvent } from '@grafana/data';
import { NEVER, Subject, delay, of, throwError } from 'rxjs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { AT_MOST_EVERY_MS, atPresent, changes, following } from '../src/live';
import type { IncidentLensQuery } from '../src/types';

const request = (from = 'now-1h', to = 'now') =>
  ({
    requestId: 'Q1',
    targets: [{ refId: 'A', queryType: 'incidents' }],
    timezone: 'utc',
    range: { from: dateTime(0), to: dateTime(3_600_000), raw: { from, to } },
  }) as unknown as DataQueryRequest<IncidentLensQuery>;

const message: LiveChannelEvent<unknown> = { type: LiveChannelEventType.Message, message: {} };
const status = (state: LiveChannelConnectionState): LiveChannelEvent<unknown> => ({
  type: LiveChannelEventType.Status,
  id: 'ds/uid/incidents',
  timestamp: 0,
  state,
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the channel', () => {
  test('tells of every packet and of a connection that is back, not of the first connection', () => {
    const events = new Subject<LiveChannelEvent<unknown>>();
    const getStream = vi.fn(() => events);
    let told = 0;
    changes({ getStream: getStream as never }, 'uid').subscribe(() => told++);
    expect(getStream).toHaveBeenCalledWith({ scope: 'ds', namespace: 'uid', stream: 'uid', path: 'incidents' });
    events.next(status(LiveChannelConnectionState.Pending));
    events.next(status(LiveChannelConnectionState.Connected));
    expect(told).toBe(0);
    events.next(message);
    expect(told).toBe(1);
    events.next(status(LiveChannelConnectionState.Disconnected));
    events.next(status(LiveChannelConnectionState.Connecting));
    events.next(status(LiveChannelConnectionState.Connected));
    expect(told).toBe(2);
  });

  test('that cannot be opened leaves the dashboard to its refresh', () => {
    const failed = vi.fn();
    changes({ getStream: () => throwError(() => new Error('no')) }, 'uid').subscribe({ error: failed });
    expect(failed).not.toHaveBeenCalled();
  });
});

describe('following', () => {
  test('asks at once, again after a change, and at most once a second', () => {
    const changed = new Subject<void>();
    const ask = vi.fn(() => of({ data: [] }));
    const states: unknown[] = [];
    following(request(), changed, ask).subscribe((response) => states.push(response.state));
    expect(ask).toHaveBeenCalledTimes(1);
    changed.next();
    changed.next();
    changed.next();
    expect(ask).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(AT_MOST_EVERY_MS);
    expect(ask).toHaveBeenCalledTimes(3);
    vi.advanceTimersByTime(10 * AT_MOST_EVERY_MS);
    expect(ask).toHaveBeenCalledTimes(3);
    expect(states).toEqual([LoadingState.Streaming, LoadingState.Streaming, LoadingState.Streaming]);
  });

  test('hears a change while the first answer is under way', () => {
    const changed = new Subject<void>();
    const ask = vi.fn(() => of({ data: [] }).pipe(delay(500)));
    following(request(), changed, ask).subscribe();
    changed.next();
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test('an error is shown as one, and the next change asks again', () => {
    const changed = new Subject<void>();
    const ask = vi.fn(() => of({ data: [], errors: [{ message: 'away' }], state: LoadingState.Error }));
    const states: unknown[] = [];
    following(request(), changed, ask).subscribe((response) => states.push(response.state));
    expect(states).toEqual([LoadingState.Error]);
    changed.next();
    expect(ask).toHaveBeenCalledTimes(2);
  });

  test('ends with its subscriber', () => {
    const changed = new Subject<void>();
    const subscription = following(request(), changed, () => NEVER).subscribe();
    expect(changed.observed).toBe(true);
    subscription.unsubscribe();
    expect(changed.observed).toBe(false);
  });
});

describe('the time range', () => {
  test('that ends now moves along', () => {
    vi.setSystemTime(new Date('2026-11-21T12:00:00Z'));
    const { from, to } = atPresent(request()).range;
    expect([from.valueOf(), to.valueOf()]).toEqual([Date.parse('2026-11-21T11:00:00Z'), Date.parse('2026-11-21T12:00:00Z')]);
  });

  test('of fixed ends stays', () => {
    const fixed = request();
    fixed.range.raw = { from: fixed.range.from, to: fixed.range.to };
    expect(atPresent(fixed)).toBe(fixed);
  });
});
