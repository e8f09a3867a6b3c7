"""Counts that are unusual become problems.

The detector goes through the records in steps of one bucket (10 s), so it gives the same answer whether a day comes in
one frame or in ticks of five seconds. A step looks only at what it touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import orjson
import polars as pl
import xxhash

from incidentlens.model.clock import MINUTE
from incidentlens.model.incidents import Problem, ScoreParts
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Level, ProblemKind

from . import samples as proof
from .hints import strength
from .keys import Key, Service, Span
from .memory import Memory
from .mentions import Names
from .sequences import WEIGHT as SEQUENCE_WEIGHT
from .sequences import Missing, Sequences
from .settings import DetectionContext, DetectionSettings
from .statistics import PRIOR_EVENTS, count_tail
from .steps import Row, minute_counts, steps
from .suppression import suppression

_MAX_RATIO = 1_000.0
_MAX_TRAFFIC = 5.0  # growth of healthy traffic that excuses growth of errors, at most
_SPIKE_OVER = 1.5  # below this ratio over a whole window a spike is over


class Detector:
    """Finds problems in SIGNED frames. Holds only what `state` gave and what the calls added.

    `state` is what earlier `changed_state()` calls gave, merged; an empty value means that the key was forgotten.
    """

    def __init__(self, settings: DetectionSettings, state: dict[str, bytes]) -> None:
        self._settings = settings
        self._memory = Memory(state, settings.max_keys)
        self._sequences = Sequences(state, settings)
        self._half_life = settings.half_life / MINUTE
        self._window_minutes = settings.window / MINUTE
        self._counts: list[SignatureCount] = []
        self._names: Names | None = None
        self._names_of: frozenset[str] = frozenset()

    @property
    def dropped(self) -> int:
        """(service, signature) pairs forgotten because of `max_keys`, ever, and steps of traces that found no room."""
        return self._memory.clock.dropped + self._sequences.dropped

    @property
    def observed_minutes(self) -> float:
        """How much time has been observed or learned from."""
        return self._memory.clock.minutes

    def learn(self, signed: pl.DataFrame) -> None:
        """Take a SIGNED frame as what is usual: no problems come of it, and the whole of it is history at once."""
        self._counts = minute_counts(signed)
        if signed.height == 0:
            return
        clock = self._memory.clock
        for bucket, rows in steps(signed, self._settings.bucket):
            clock.begin(bucket, self._settings.gap)
            clock.advance(bucket, self._settings.gap)
            for row in rows:
                self._take(bucket, row)
        clock.advance(clock.at + self._settings.bucket, self._settings.gap)
        for key in self._memory.touched_keys():
            key.flush(clock.minutes, self._half_life)
        for service in self._memory.touched_services():
            for _, harmless, _ in service.window:
                service.fold(harmless, clock.minutes, self._half_life)
            service.window.clear()
        self._sequences.learn(signed)
        clock.base = clock.minutes
        clock.learned = True
        clock.between_calls = clock.loose = True

    def observe(self, signed: pl.DataFrame, now: int, context: DetectionContext | None = None) -> list[Problem]:
        """Problems that began or went on in `signed` (only records not given before), at `now` (ns).

        A problem keeps its id, onset and earliest samples as long as its span lasts; its count is that of the span.
        """
        context = context or DetectionContext()
        self._counts = minute_counts(signed)
        self._memory.begin_call()
        clock = self._memory.clock
        alerted = {_alert_service(alert.labels) for alert in context.alerts}
        touched: dict[int, tuple[Key, Span]] = {}
        for bucket, rows in steps(signed, self._settings.bucket):
            clock.begin(bucket, self._settings.gap)
            clock.advance(bucket, self._settings.gap)
            if not clock.learned and clock.minutes * MINUTE >= self._settings.warm_up:
                clock.learned = True
            for row in rows:
                key = self._take(bucket, row)
                if key.weight > 0 and (span := self._judge(key, row, bucket, key.service in alerted)):
                    touched[id(span)] = (key, span)
        if clock.at < now <= clock.at + self._settings.gap:  # further off it is another clock than the records'
            clock.advance(now - now % self._settings.bucket, self._settings.gap)
        clock.between_calls = True
        self._prove(signed, list(touched.values()), context)
        problems = [self._problem(key, span, context) for key, span in touched.values()]
        problems.extend(self._missing_step(signed, missing, context) for missing in self._sequences.observe(signed))
        problems.extend(self._alert_problems(context, now))
        return sorted(problems, key=lambda problem: (problem.onset, problem.id))

    def counts(self) -> list[SignatureCount]:
        """Counts a minute of the records of the last `observe` or `learn`."""
        return self._counts

    def changed_state(self) -> dict[str, bytes]:
        """State that changed since the last call of this; an empty value: forget the key."""
        return self._memory.changed() | self._sequences.changed()

    # -- counting -----------------------------------------------------------------------------------------------------

    def _take(self, bucket: int, row: Row) -> Key:
        """Count a row in its key and service."""
        clock = self._memory.clock
        service = self._memory.service(row.service, row.first)
        key = self._memory.key(row.service, row.signature)
        if key is None:
            key = Key(
                service=row.service,
                signature=row.signature,
                template=row.template,
                level=row.level,
                weight=strength(f"{row.message}\n{row.exception}" if row.exception else row.message, row.level),
                first_seen=row.first,
                last_seen=row.last,
                since=service.since,
            )
            self._memory.add(key)
        self._slide(key, service, bucket)
        if key.weight > 0 and key.total == 1:
            service.singles -= 1
        elif key.weight > 0 and key.total == 0 and row.records == 1:
            service.singles += 1
        key.total += row.records
        key.template = row.template
        key.last_seen = max(key.last_seen, row.last)
        _add_to_window(key.window, bucket, row.records, row.first)
        harmless = key.weight == 0
        service.add(bucket, 0 if harmless else row.records, row.records if harmless else 0, row.last)
        if clock.at - bucket > self._settings.window:
            self._slide(key, service, clock.at)
        return key

    def _slide(self, key: Key, service: Service, bucket: int) -> None:
        """Fold what left the window into the baseline."""
        edge = bucket - self._settings.window
        at = self._base_at()
        while key.window and key.window[0][0] <= edge:
            start, count, _ = key.window.pop(0)
            key.fold(start, count, at, self._half_life, cap=self._memory.clock.learned)
        while service.window and service.window[0][0] <= edge:
            _, healthy, _ = service.window.pop(0)
            service.fold(healthy, at, self._half_life)

    def _base_at(self) -> float:
        """Observed minutes up to which the baseline reaches: all but the window."""
        clock = self._memory.clock
        return max(clock.base, clock.minutes - self._window_minutes)

    # -- judging ---------------------------------------------------------------------------------------------------

    def _judge(self, key: Key, row: Row, bucket: int, alerted: bool) -> Span | None:
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
        events, minutes, dispersion = key.usual(self._base_at(), self._half_life)
        service = self._memory.service(key.service, key.first_seen)
        in_window = sum(entry[1] for entry in key.window)
        usual = (events + PRIOR_EVENTS) / max(minutes, 1.0)
        clock = self._memory.clock
        p, scale_count, scale = self._improbable(key, bucket, events, minutes, dispersion, traffic=1.0)
        if events <= 0:  # never seen before the window
            warn = key.level == Level.WARN
            if not clock.learned or minutes < 0.5:
                why = (
                    f"{_times(in_window)}, with no history to compare with"
                    if minutes < 0.5
                    else (f"{_times(in_window)}, never before in {_span(minutes)}")
                )
                return self._span(ProblemKind.NEW, key, usual, p, why)
            if warn and in_window < settings.warn_count:
                return None
            common = (service.singles - (in_window == 1)) / minutes * self._window_minutes
            if p <= settings.new_p or alerted or (common < settings.new_rate and not warn):
                during = _span(self._elapsed(key, bucket))
                why = f"{_times(in_window)} in {during}, never before in {_span(minutes)} of history"
                return self._span(ProblemKind.NEW, key, usual, p, why)
            return None
        traffic = self._traffic(service)
        if traffic > 1:
            p, scale_count, scale = self._improbable(key, bucket, events, minutes, dispersion, traffic)
        ratio = scale_count / (usual * traffic * scale)
        enough = 1 if key.weight >= 3.5 and usual * self._window_minutes < 0.02 else settings.spike_count
        wanted = settings.spike_ratio * (5 / 3 if key.weight < 2 else 1)
        limit = settings.spike_p
        if alerted:
            enough, wanted, limit = 1, 1.5, 0.01
        elif enough == 1:
            limit = 0.05  # it kills a process and hardly ever comes: once is enough
        if scale_count >= enough and ratio >= wanted and p <= limit:
            why = (
                f"{scale_count} in {_span(scale)} where {_number(usual * traffic * scale)} is usual "
                f"({_number(ratio)} times, {_probability(p)}, {_span(minutes)} of history)"
            )
            return self._span(ProblemKind.SPIKE, key, usual * traffic, p, why)
        return None

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
        events, minutes = service.usual(self._base_at(), self._half_life)
        if minutes <= 0:
            return 1.0
        now = sum(entry[1] for entry in service.window)
        expected = events / minutes * self._window_minutes
        return min(_MAX_TRAFFIC, max(1.0, (now + 5) / (expected + 5)))

    def _span(self, kind: ProblemKind, key: Key, expected: float, p: float, why: str) -> Span:
        if kind == ProblemKind.NEW:
            onset = key.window[0][2]
            count = sum(entry[1] for entry in key.window)
        else:
            start = self._rise(key, expected)
            onset = key.window[start][2]
            count = sum(entry[1] for entry in key.window[start:])
        return Span(kind.value, onset, key.last_seen, count, expected, 0.0, p, why)

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
        span.ratio = min(_MAX_RATIO, max(span.ratio, ratio))
        return rate / max(span.expected, 1e-6)

    # -- problems --------------------------------------------------------------------------------------------------

    def _prove(self, signed: pl.DataFrame, touched: list[tuple[Key, Span]], context: DetectionContext) -> None:
        """Give each touched span its samples, trace ids and mentions."""
        if not touched:
            return
        names = self._service_names(context)
        wanted = pl.DataFrame(
            {"service": [key.service for key, _ in touched], "signature": [key.signature for key, _ in touched]}
        ).unique()
        rows = signed.select(proof.COLUMNS).join(wanted, on=["service", "signature"], how="semi").sort("ts")
        parts = rows.partition_by("service", "signature", as_dict=True)
        for key, span in touched:
            part = parts.get((key.service, key.signature))
            if part is None:
                continue
            part = part.filter((pl.col("ts") >= span.onset) & (pl.col("ts") <= span.last))
            picked = proof.spread(part).to_dicts()
            span.samples = proof.add_samples(span.samples, picked, self._settings.samples)
            span.traces = proof.add_traces(span.traces, picked)
            found = [name for row in picked for name in names.find(row["line"], key.service)]
            span.mentions = proof.add_mentions(span.mentions, found)

    def _service_names(self, context: DetectionContext) -> Names:
        services = context.known_services | self._memory.service_names()
        if self._names is None or services != self._names_of:
            self._names, self._names_of = Names(services), frozenset(services)
        return self._names

    def _problem(self, key: Key, span: Span, context: DetectionContext) -> Problem:
        service = self._memory.service(key.service, key.first_seen)
        criticality = context.criticality.get(key.service, 1.0)
        mentions = sorted(span.mentions, key=lambda name: -span.mentions[name])
        return Problem(
            id=problem_id(context.project, key.service, key.signature, span.onset),
            project=context.project,
            service=key.service,
            signature=key.signature,
            template=key.template,
            level=Level(key.level),
            kind=ProblemKind(span.kind),
            onset=span.onset,
            last_seen=span.last,
            count=span.count,
            baseline_per_minute=round(span.expected, 4) if self._base_at() > service.since else 0.0,
            rate_per_minute=round(span.peak, 4),
            score=round(key.weight * math.log1p(span.ratio) * criticality, 4),
            parts=ScoreParts(severity_weight=key.weight, spike_ratio=round(span.ratio, 4), criticality=criticality),
            why=f"{span.why}; {span.count} so far" if span.count > 1 else span.why,
            suppressed=suppression(
                context, key.service, key.signature, span.onset, key.weight, int(service.since * MINUTE)
            ),
            samples=tuple(span.samples),
            trace_ids=tuple(span.traces),
            mentions=tuple(mentions),
        )

    def _missing_step(self, signed: pl.DataFrame, missing: Missing, context: DetectionContext) -> Problem:
        """A follower that stays away, as a problem of the service it should have come from."""
        span, lost = missing.span, missing.lost
        rows = proof.spread(self._sequences.records_of(signed, missing).select(proof.COLUMNS)).to_dicts()
        span.samples = proof.add_samples(span.samples, rows, self._settings.samples)
        span.traces = proof.add_traces(span.traces, rows)
        criticality = context.criticality.get(lost.service, 1.0)
        instead = f'"{missing.instead.template[:80]}" comes instead' if missing.instead else "nothing follows"
        ratio = min(_MAX_RATIO, span.ratio)
        return Problem(
            id=problem_id(context.project, lost.service, f"after:{missing.step.signature}", span.onset),
            project=context.project,
            service=lost.service,
            signature=lost.signature,
            template=lost.template,
            level=Level(lost.level),
            kind=ProblemKind.SEQUENCE,
            onset=span.onset,
            last_seen=span.last,
            count=span.count,
            baseline_per_minute=0,
            rate_per_minute=0,
            score=round(SEQUENCE_WEIGHT * math.log1p(ratio) * criticality, 4),
            parts=ScoreParts(severity_weight=SEQUENCE_WEIGHT, spike_ratio=round(ratio, 4), criticality=criticality),
            why=f"{span.why}; {instead} ({_probability(span.p)})",
            suppressed=suppression(context, lost.service, lost.signature, span.onset, SEQUENCE_WEIGHT, 0),
            samples=tuple(span.samples),
            trace_ids=tuple(span.traces),
            mentions=(missing.step.service,) if missing.step.service != lost.service else (),
        )

    def _alert_problems(self, context: DetectionContext, now: int) -> Iterator[Problem]:
        """An alert that fires is a problem of its own: somebody thought it worth one."""
        for alert in context.alerts:
            if alert.ends_at is not None and alert.ends_at <= now:
                continue
            service = _alert_service(alert.labels) or "unknown"
            level = Level.FATAL if alert.labels.get("severity", "").lower() in ("critical", "page") else Level.ERROR
            weight = 4.0 if level == Level.FATAL else 3.0
            criticality = context.criticality.get(service, 1.0)
            text = alert.annotations.get("summary") or alert.annotations.get("description") or alert.name
            names = self._service_names(context)
            yield Problem(
                id=f"p_alert_{alert.fingerprint}",
                project=context.project,
                service=service,
                signature=f"alert:{alert.name}",
                template=text,
                level=level,
                kind=ProblemKind.ALERT,
                onset=alert.starts_at,
                last_seen=max(alert.starts_at, now),
                count=1,
                baseline_per_minute=0,
                rate_per_minute=0,
                score=round(weight * math.log1p(3) * criticality, 4),
                parts=ScoreParts(severity_weight=weight, spike_ratio=3.0, criticality=criticality),
                why=f"alert {alert.name} fires: {text}",
                suppressed=suppression(context, service, f"alert:{alert.name}", alert.starts_at, weight, 0),
                mentions=tuple(names.find(text, service)),
            )


def problem_id(project: str, service: str, signature: str, onset: int) -> str:
    """The identity of one span of misbehaviour: `p_` and 16 hex digits."""
    return f"p_{xxhash.xxh3_64(orjson.dumps([project, service, signature, onset])).hexdigest()}"


def _alert_service(labels: dict[str, str]) -> str:
    return next(
        (labels[name] for name in ("service", "service_name", "app", "job", "container") if labels.get(name)), ""
    )


def _add_to_window(window: list[list[int]], bucket: int, count: int, first: int) -> None:
    for entry in reversed(window):
        if entry[0] == bucket:
            entry[1] += count
            entry[2] = min(entry[2], first)
            return
        if entry[0] < bucket:
            break
    window.append([bucket, count, first])
    if len(window) > 1 and window[-2][0] > bucket:
        window.sort()


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


def _probability(p: float) -> str:
    return "p < 1e-12" if p < 1e-12 else f"p = {p:.1g}"
