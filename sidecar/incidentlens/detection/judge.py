"""Whether what is in a key's window is unusual, and since when."""

from __future__ import annotations

import math

from incidentlens.model.clock import MINUTE
from incidentlens.model.terms import Level, ProblemKind

from .hints import says_change
from .keys import Key, Service, Span
from .memory import Memory
from .seasons import Usual
from .settings import DetectionSettings
from .statistics import PRIOR_EVENTS, count_tail, negative_binomial_tail
from .steps import Row

MAX_RATIO = 1_000.0
_MAX_TRAFFIC = 5.0  # growth of healthy traffic that excuses growth of errors, at most
_SPIKE_OVER = 1.5  # below this ratio over a whole window a spike is over
_HOUR_P = 1e-3  # improbable enough against the few hours like this one, where it is a spike by all else
_PRIOR_SINGLES = 0.1  # failing signatures that are still unseen, whatever the history: a short one proves little


class Judge:
    """Begins spans of misbehaviour and keeps them up to date."""

    def __init__(self, settings: DetectionSettings, memory: Memory) -> None:
        self._settings = settings
        self._memory = memory
        self._half_life = settings.half_life / MINUTE
        self._window_minutes = settings.window / MINUTE
        self.in_season: set[str] = set()  # services of which something fails as it always does at this hour

    def base_at(self) -> float:
        """Observed minutes up to which the baseline reaches: all but the window."""
        clock = self._memory.clock
        return max(clock.base, clock.minutes - self._window_minutes)

    def judge(self, key: Key, row: Row, bucket: int, alerted: bool) -> Span | None:
        """The span this row belongs to, begun now where it has to."""
        span = key.span
        if span and row.first - span.last > self._settings.quiet:
            span = key.span = None
        if span:
            span.count += row.records
            span.last = max(span.last, row.last)
            ratio = self._grow(key, span, bucket)
            if (
                span.kind == ProblemKind.SPIKE
                and ratio < _SPIKE_OVER
                and row.first - span.onset > self._settings.window
            ):
                key.span = None
                return None
            return span
        key.span = self._begin(key, bucket, alerted)
        if key.span:
            self._grow(key, key.span, bucket)
        return key.span

    def _begin(self, key: Key, bucket: int, alerted: bool) -> Span | None:
        """A new span where the key's window is unusual; None for records that come later than a window."""
        if not key.window:
            return None
        settings = self._settings
        events, minutes, dispersion = key.usual(self.base_at(), self._half_life, cap=self._memory.clock.learned)
        service = self._memory.service(key.service, key.first_seen)
        usual = (events + PRIOR_EVENTS) / max(minutes, 1.0)
        p, scale_count, scale = self._improbable(key, bucket, events, minutes, dispersion, traffic=1.0)
        if events <= 0:  # never seen before the window
            return self._begin_new(key, service, bucket, minutes, p, alerted)
        traffic = self._traffic(service)
        if traffic > 1:
            p, scale_count, scale = self._improbable(key, bucket, events, minutes, dispersion, traffic)
        expected = usual * traffic
        ratio = scale_count / (expected * scale)
        enough = 1 if key.weight >= 3.5 and usual * self._window_minutes < 0.02 else settings.spike_count
        wanted = settings.spike_ratio * (5 / 3 if key.weight < 2 else 1)
        limit = settings.spike_p
        if alerted:
            enough, wanted, limit = 1, 1.5, 0.01
        elif enough == 1:
            limit = 0.05  # it kills a process and hardly ever comes: once is enough
        if sum(entry[1] for entry in key.window) < enough:
            return None
        of = f"{_span(minutes)} of history"
        baseline = f"usual in the last {of}: {_number(usual)}/min; no history of this hour yet"
        hour = key.season.usual(bucket, self._memory.clock.hours, service.first_seen)
        if hour is not None:
            baseline = of = str(hour)
            if hour.peak > 0:
                if p > limit or ratio < wanted:
                    return None
                p, scale_count, scale = self._improbable_at(key, bucket, hour, traffic)
                limit, expected = _HOUR_P, hour.peak * traffic
                ratio = scale_count / (expected * scale)
            elif key.season.punctual:
                # It has its own hours and this is none of them: their bursts do not make this one less of a surprise.
                quiet = hour.hours * 60.0
                p, scale_count, scale = self._improbable(key, bucket, hour.rate * quiet, quiet, 1.0, traffic)
                expected = (hour.rate * quiet + PRIOR_EVENTS) / quiet * traffic
                ratio = scale_count / (expected * scale)
        if scale_count >= enough and ratio >= wanted and p <= limit:
            why = (
                f"{scale_count} in {_span(scale)} where {_number(expected * scale)} is usual "
                f"({_number(ratio)} times, {probability(p)}, {of})"
            )
            return self._span(ProblemKind.SPIKE, key, expected, p, why, baseline)
        if hour is not None and hour.peak > 0:
            self.in_season.add(key.service)
        return None

    def _improbable_at(self, key: Key, bucket: int, hour: Usual, traffic: float) -> tuple[float, int, float]:
        """The same against the busiest minutes of hours like this one, of which `hour.hours` are known."""
        best = (1.0, 0, self._window_minutes)
        width = self._settings.bucket
        for scale in (width, 3 * width, self._settings.window):
            count = sum(entry[1] for entry in key.window if entry[0] > bucket - scale)
            length = max(1.0, scale / MINUTE)  # all of a minute's records may come in ten seconds of it
            mean = hour.peak * traffic * length
            variance = mean + (hour.deviation * length) ** 2 + mean * mean / hour.hours
            p = min(1.0, 3 * negative_binomial_tail(count, mean, variance))
            if p < best[0] or best[1] == 0:
                best = (p, count, length)
        return best

    def _begin_new(
        self, key: Key, service: Service, bucket: int, minutes: float, p: float, alerted: bool
    ) -> Span | None:
        """A span of a signature without history, where that is news.

        How often new failing signatures turn up in the service is estimated from those seen once (Good and Turing):
        where one is expected in every window anyway, a new one has to come improbably often.
        """
        settings = self._settings
        in_window = sum(entry[1] for entry in key.window)
        usual = PRIOR_EVENTS / max(minutes, 1.0)
        if minutes <= 0:
            why = f"{_times(in_window)}, with no history to compare with"
            return self._span(ProblemKind.NEW, key, usual, p, why, "no history to compare with")
        during = _span(self._elapsed(key, bucket))
        why = f"{_times(in_window)} in {during}, never before in {_span(minutes)} of history"
        never = f"never before in {_span(minutes)} of history"
        if not self._memory.clock.learned or alerted:
            return self._span(ProblemKind.NEW, key, usual, p, why, never)
        expected = (service.singles - (in_window == 1) + _PRIOR_SINGLES) / minutes * self._window_minutes
        news = expected < settings.new_rate
        improbable = p <= settings.new_p
        if key.level == Level.WARN and not says_change(key.template):
            news = expected * 10 < settings.new_rate
            improbable = improbable and in_window >= settings.warn_count
        return self._span(ProblemKind.NEW, key, usual, p, why, never) if news or improbable else None

    def _improbable(
        self, key: Key, bucket: int, events: float, minutes: float, dispersion: float, traffic: float
    ) -> tuple[float, int, float]:
        """(p, count, minutes) of the most improbable look back: over one bucket, three, or the window; p corrected."""
        best = (1.0, 0, self._window_minutes)
        width = self._settings.bucket
        for scale in (width, 3 * width, self._settings.window):
            count = sum(entry[1] for entry in key.window if entry[0] > bucket - scale)
            length = scale / MINUTE
            if events <= 0:
                length = min(length, self._elapsed(key, bucket))
            p = min(1.0, 3 * count_tail(count, events * traffic, minutes, length, dispersion))
            if p < best[0] or best[1] == 0:
                best = (p, count, length)
        return best

    def _elapsed(self, key: Key, bucket: int) -> float:
        """Minutes of the window since its first record of the key, at least one bucket."""
        width = self._settings.bucket
        first = key.window[0][0] if key.window else bucket
        return max(width, min(self._settings.window, bucket + width - first)) / MINUTE

    def _traffic(self, service: Service) -> float:
        """How much more harmless lines the service writes than usual, 1 to 5: load brings errors along."""
        events, minutes = service.usual(self.base_at(), self._half_life)
        if minutes <= 0:
            return 1.0
        now = sum(entry[1] for entry in service.window)
        expected = events / minutes * self._window_minutes
        return min(_MAX_TRAFFIC, max(1.0, (now + 5) / (expected + 5)))

    def _span(self, kind: ProblemKind, key: Key, expected: float, p: float, why: str, baseline: str) -> Span:
        if kind == ProblemKind.NEW:
            onset = key.window[0][2]
            count = sum(entry[1] for entry in key.window)
        else:
            start = self._rise(key, expected)
            onset = key.window[start][2]
            count = sum(entry[1] for entry in key.window[start:])
        return Span(kind.value, onset, key.last_seen, count, expected, 0.0, p, why, baseline=baseline)

    def _rise(self, key: Key, expected: float) -> int:
        """Index of the bucket in the window where the rise began: go back while buckets are above the usual."""
        usual = max(1.0, 2 * expected * self._settings.bucket / MINUTE)
        start = len(key.window) - 1
        while start > 0:
            before = key.window[start - 1]
            if before[1] <= usual or key.window[start][0] - before[0] > 3 * self._settings.bucket:
                break
            start -= 1
        return start

    def _grow(self, key: Key, span: Span, bucket: int) -> float:
        """Bring a span's rate and ratio up to date; the present ratio."""
        in_window = sum(entry[1] for entry in key.window if entry[2] >= span.onset or entry[0] >= span.onset)
        minutes = self._elapsed(key, bucket)
        rate = in_window / minutes
        span.peak = max(span.peak, rate)
        sure = max(in_window - math.sqrt(in_window), in_window / 4) / self._window_minutes
        ratio = sure / max(span.expected, 1e-6)
        span.ratio = min(MAX_RATIO, max(span.ratio, ratio))
        return rate / max(span.expected, 1e-6)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _span(minutes: float) -> str:
    """Minutes for people."""
    if minutes < 1:
        return f"{max(1, round(minutes * 60))} s"
    if minutes < 120:
        return f"{_number(minutes)} min"
    return f"{_number(minutes / 60)} h"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def probability(p: float) -> str:
    """For people: `p = 3e-07`."""
    return "p < 1e-12" if p < 1e-12 else f"p = {p:.1g}"
