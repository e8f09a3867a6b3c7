"""Counts that are unusual become problems.

The detector goes through the records in steps of one bucket (10 s), so it gives the same answer whether a day comes in
one frame or in ticks of five seconds. A step looks only at what it touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import orjson
import polars as pl
import xxhash

from incidentlens.model.clock import HOUR, MINUTE
from incidentlens.model.incidents import Problem, ScoreParts
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import Level, ProblemKind

from . import samples as proof
from .calls import Calls
from .hints import strength
from .judge import MAX_RATIO, Judge, probability
from .keys import Key, Service, Span
from .latency import WEIGHT as LATENCY_WEIGHT
from .latency import Latencies, Pace, Slow
from .memory import Memory
from .mentions import Names
from .sequences import WEIGHT as SEQUENCE_WEIGHT
from .sequences import Missing, Sequences, Step
from .settings import DetectionContext, DetectionSettings
from .shares import WEIGHT as SHARE_WEIGHT
from .shares import Share, Shares
from .silence import WEIGHT as SILENCE_WEIGHT
from .silence import Silences
from .steps import Row, minute_counts, steps
from .suppression import suppression
from .unread import Thin, others

_EXPECTED = 5.0  # usual lines of a service; of fewer none may come by chance


class Detector:
    """Finds problems in SIGNED frames. Holds only what `state` gave and what the calls added.

    `state` is what earlier `changed_state()` calls gave, merged; an empty value means that the key was forgotten.
    """

    def __init__(self, settings: DetectionSettings, state: dict[str, bytes]) -> None:
        self._settings = settings
        self._memory = Memory(state, settings.max_keys)
        self._sequences = Sequences(state, settings)
        self._latencies = Latencies(state, settings)
        self._shares = Shares(state, settings)
        self._judge = Judge(settings, self._memory)
        self._calls = Calls(state)
        self._silences = Silences(state, settings, self._memory, self._judge)
        self._thin = Thin.decode(state)
        self._half_life = settings.half_life / MINUTE
        self._learning = False
        self._counts: list[SignatureCount] = []
        self._names: Names | None = None
        self._names_of: frozenset[str] = frozenset()

    @property
    def dropped(self) -> int:
        """(service, signature) pairs forgotten because of `max_keys`, ever, and steps of traces that found no room."""
        return self._memory.clock.dropped + self._sequences.dropped + self._latencies.dropped + self._shares.dropped

    @property
    def observed_minutes(self) -> float:
        """How much time has been observed or learned from."""
        return self._memory.clock.minutes

    def learn(self, signed: pl.DataFrame, unread: pl.DataFrame | None = None, *, partial: bool = False) -> None:
        """Take a SIGNED frame as what is usual: no problems come of it, and the whole of it is history at once.

        `unread` (see `unread`): lines that were counted only. `partial`: there are others that were not read.
        """
        self._counts = minute_counts(signed)
        counted = others(unread, self._settings.bucket)
        if signed.height == 0 and not counted:
            return
        clock = self._memory.clock
        self._learning = True
        for bucket, rows in steps(signed, self._settings.bucket, unread):
            clock.begin(bucket, 0, self._settings.window)
            clock.advance(bucket)
            for row in rows:
                self._take(bucket, row)
        self._learning = False
        self._hear(counted)
        clock.advance(clock.at + self._settings.bucket)
        for key in self._memory.touched_keys():
            key.flush(clock.minutes, self._half_life)
        for service in self._memory.touched_services():
            for _, harmless, _ in service.window:
                service.fold(harmless, clock.minutes, self._half_life)
            service.window.clear()
        if not partial:
            self._sequences.learn(signed)
            self._latencies.learn(signed)
            self._shares.learn(signed)
            self._watch(signed, list(self._memory.touched_keys()))
        self._calls.take(signed)
        clock.base = clock.minutes
        clock.learned = True
        clock.loose = True

    def recall(self, service: str, signed: pl.DataFrame, minutes: float) -> None:
        """What the warnings of `service` were before it stood out: a sample (SIGNED) worth `minutes` of its whole log.

        It takes the place of what was known of them, since they were not read meanwhile.
        """
        at = self._judge.base_at()
        known = at - self._memory.service(service, self._memory.clock.at).since
        minutes = max(0.0, min(minutes, known))
        self._thin.put(service, at - minutes, at)
        for _, rows in steps(signed.filter(pl.col("service") == service), HOUR * 24 * 365):
            for row in rows:
                key = self._memory.key(row.service, row.signature) or self._new_key(row)
                if key.span is not None or key.level != Level.WARN:
                    continue
                key.since, key.decayed_at = at - minutes, at
                key.events = float(row.records)
                # As of a Poisson process: variance and mean of its minutes are equal.
                key.squares = key.events + key.events**2 / minutes if minutes > 0 else key.events
                key.total = max(key.total, row.records)

    def observe(
        self,
        signed: pl.DataFrame,
        now: int,
        context: DetectionContext | None = None,
        unread: pl.DataFrame | None = None,
    ) -> list[Problem]:
        """Problems that began or went on in `signed` (only records not given before), at `now` (ns).

        `unread` (see `unread`): lines that were counted and not read.
        A problem keeps its id, onset and earliest samples as long as its span lasts; its count is that of the span.
        """
        context = context or DetectionContext()
        self._counts = minute_counts(signed)
        self._memory.begin_call()
        self._judge.in_season.clear()
        clock = self._memory.clock
        alerted = {_alert_service(alert.labels) for alert in context.alerts}
        skipped = context.skipped
        touched: dict[int, tuple[Key, Span]] = {}
        wrote: dict[tuple[str, str], Key] = {}
        if clock.loose and signed.height:
            self._silences.begin(int(signed["ts"].min()))  # type: ignore[arg-type]
        for bucket, rows in steps(signed, self._settings.bucket, unread):
            clock.begin(bucket, skipped, self._settings.window)
            skipped = 0
            clock.advance(bucket)
            if not clock.learned and clock.minutes * MINUTE >= self._settings.warm_up:
                clock.learned = True
            for row in rows:
                key = self._take(bucket, row)
                wrote[(key.service, key.signature)] = key
                if key.weight > 0 and (span := self._judge.judge(key, row, bucket, key.service in alerted)):
                    touched[id(span)] = (key, span)
        self._hear(others(unread, self._settings.bucket))
        if clock.at < now <= clock.at + self._settings.ahead:  # further off it is another clock than the records'
            clock.advance(now - now % self._settings.bucket)
        self._prove(signed, list(touched.values()), context)
        problems = [self._problem(key, span, context) for key, span in touched.values()]
        self._calls.take(signed)
        if not context.partial:
            problems.extend(self._missing_step(signed, missing, context) for missing in self._sequences.observe(signed))
            slow = self._latencies.observe(signed, learned=clock.learned)
            problems.extend(self._slow(signed, found, context) for found in slow)
            # More of a service fails at the hour of its batch, and that is no news of the service either.
            named = {key.service for key, _ in touched.values()} | alerted | self._judge.in_season
            failing = self._shares.observe(signed, named)
            problems.extend(self._failing_more(signed, share, context) for share in failing)
            problems.extend(self._silent(signed, wrote.values(), context))
        problems.extend(self._alert_problems(context, now))
        return sorted(problems, key=lambda problem: (problem.onset, problem.id))

    def counts(self) -> list[SignatureCount]:
        """Counts a minute of the records of the last `observe` or `learn`."""
        return self._counts

    def changed_state(self) -> dict[str, bytes]:
        """State that changed since the last call of this; an empty value: forget the key."""
        stages = (self._sequences, self._latencies, self._shares, self._silences, self._calls)
        out = self._memory.changed()
        for stage in stages:
            out |= stage.changed()
        return out | self._thin.state()

    def calls(self) -> Mapping[str, tuple[str, ...]]:
        """{service: the services it calls}, as traces have shown."""
        return self._calls.known()

    def liveliness(self, since: int) -> dict[str, tuple[int, float]]:
        """{service: (harmless lines since `since`, how many are usual in that time)}, at most a window back.

        Of services whose history expects a handful; what all services have in common (less traffic) is taken out.
        """
        clock, width = self._memory.clock, self._settings.bucket
        until = clock.at + width
        edge = max(since - since % width, until - self._settings.window)
        minutes = (until - edge) / MINUTE
        found = {}
        for service in self._memory.services():
            events, history = service.usual(self._judge.base_at(), self._half_life)
            usual = events / max(history, 1.0) * minutes
            if usual >= _EXPECTED:
                found[service.name] = (sum(entry[1] for entry in service.window if entry[0] >= edge), usual)
        traffic = sum(now for now, _ in found.values()) / max(1.0, sum(usual for _, usual in found.values()))
        return {name: (now, usual * min(1.0, traffic)) for name, (now, usual) in found.items()}

    # -- counting -----------------------------------------------------------------------------------------------------

    def _take(self, bucket: int, row: Row) -> Key:
        """Count a row in its key and service."""
        clock = self._memory.clock
        service = self._memory.service(row.service, row.first)
        key = self._memory.key(row.service, row.signature)
        if key is None:
            key = self._new_key(row)
        if not self._learning:
            key.learnt(self._judge.base_at(), self._half_life)
        self._thin.restrict(key)
        self._slide(key, service, bucket)
        if key.weight > 0 and key.total == 1:
            service.singles -= 1
        elif key.weight > 0 and key.total == 0 and row.records == 1:
            service.singles += 1
        key.total += row.records
        key.template = row.template
        key.last_seen = max(key.last_seen, row.last)
        _add_to_window(key.window, bucket, row.records, row.first)
        if key.weight > 0:
            key.season.add(bucket, row.records)
        harmless = key.weight == 0
        service.add(bucket, 0 if harmless else row.records, row.records if harmless else 0, row.last)
        if clock.at - bucket > self._settings.window:
            self._slide(key, service, clock.at)
        return key

    def _new_key(self, row: Row) -> Key:
        key = Key(
            service=row.service,
            signature=row.signature,
            template=row.template,
            level=row.level,
            weight=strength(f"{row.message}\n{row.exception}" if row.exception else row.message, row.level),
            first_seen=row.first,
            last_seen=row.last,
            since=self._memory.service(row.service, row.first).since,
        )
        self._memory.add(key)
        return key

    def _hear(self, counted: dict[int, list[tuple[str, int, int]]]) -> None:
        """Count lines that were not read in their services."""
        clock = self._memory.clock
        for bucket, rows in counted.items():
            clock.advance(bucket)
            for name, harmless, warnings in rows:
                service = self._memory.service(name, bucket)
                service.add(bucket, warnings, harmless, bucket)
                edge = clock.at - self._settings.window
                while service.window and service.window[0][0] <= edge:
                    _, healthy, _ = service.window.pop(0)
                    service.fold(healthy, self._judge.base_at(), self._half_life)

    def _slide(self, key: Key, service: Service, bucket: int) -> None:
        """Fold what left the window into the baseline."""
        edge = bucket - self._settings.window
        at = self._judge.base_at()
        while key.window and key.window[0][0] <= edge:
            start, count, _ = key.window.pop(0)
            if self._learning:
                key.learn(start, count, at, self._half_life)
            else:
                key.fold(start, count, at, self._half_life, cap=self._memory.clock.learned)
        while service.window and service.window[0][0] <= edge:
            _, healthy, _ = service.window.pop(0)
            service.fold(healthy, at, self._half_life)

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
            baseline_per_minute=round(span.expected, 4) if self._judge.base_at() > service.since else 0.0,
            rate_per_minute=round(span.peak, 4),
            score=round(key.weight * math.log1p(span.ratio) * criticality, 4),
            parts=ScoreParts(
                severity_weight=key.weight,
                spike_ratio=round(span.ratio, 4),
                criticality=criticality,
                baseline=span.baseline,
            ),
            why=f"{span.why}; {span.count} so far" if span.count > 1 else span.why,
            suppressed=suppression(
                context,
                ProblemKind(span.kind),
                key.service,
                key.signature,
                span.onset,
                span.last,
                key.weight,
                int(service.since * MINUTE),
            ),
            samples=tuple(span.samples),
            trace_ids=tuple(span.traces),
            mentions=tuple(mentions),
        )

    def _missing_step(self, signed: pl.DataFrame, missing: Missing, context: DetectionContext) -> Problem:
        """A follower that stays away, as a problem of the service it should have come from."""
        instead = f'"{missing.instead.template[:80]}" comes instead' if missing.instead else "nothing follows"
        rows = self._sequences.records_of(signed, missing)
        why = f"{missing.span.why}; {instead} ({probability(missing.span.p)})"
        found = self._by_rows(missing.lost, missing.span, rows, SEQUENCE_WEIGHT, why, context)
        return found.model_copy(update={"unreached": missing.unreached})

    def _slow(self, signed: pl.DataFrame, slow: Slow, context: DetectionContext) -> Problem:
        """Work that takes longer."""
        rows = self._latencies.records_of(signed, slow)
        return self._by_rows(slow.pace, slow.span, rows, LATENCY_WEIGHT, slow.span.why, context)

    def _failing_more(self, signed: pl.DataFrame, share: Share, context: DetectionContext) -> Problem:
        """A service of which more fails, without one signature to name."""
        assert share.span is not None
        rows = self._shares.records_of(signed, share)
        why = f"{share.span.why} ({probability(share.span.p)})"
        return self._by_rows(share, share.span, rows, SHARE_WEIGHT, why, context)

    def _silent(self, signed: pl.DataFrame, wrote: Iterable[Key], context: DetectionContext) -> Iterator[Problem]:
        """Steady signatures that stopped, while the project still writes."""
        self._watch(signed, wrote)
        if signed.height:
            for silent in self._silences.look(self._memory.clock.at):
                nothing = signed.clear()
                yield self._by_rows(silent.key, silent.span, nothing, SILENCE_WEIGHT, silent.span.why, context)

    def _watch(self, signed: pl.DataFrame, wrote: Iterable[Key]) -> None:
        """Remember the newest record of each steady signature."""
        for key in [key for key in wrote if self._silences.wants(key)]:
            here = (pl.col("service") == key.service) & (pl.col("signature") == key.signature)
            newest = signed.filter(here).sort("ts").tail(1).select(proof.COLUMNS).to_dicts()
            if newest:
                self._silences.watch(key, proof.to_sample(newest[0]))

    def _by_rows(
        self,
        what: Step | Pace | Key | Share,
        span: Span,
        rows: pl.DataFrame,
        weight: float,
        why: str,
        context: DetectionContext,
    ) -> Problem:
        """A problem that no count shows, with `rows` (SIGNED) as its proof."""
        picked = proof.spread(rows.select(proof.COLUMNS)).to_dicts()
        span.samples = proof.add_samples(span.samples, picked, self._settings.samples)
        span.traces = proof.add_traces(span.traces, picked)
        criticality = context.criticality.get(what.service, 1.0)
        ratio = min(MAX_RATIO, span.ratio)
        return Problem(
            id=problem_id(context.project, what.service, f"{span.kind}:{what.signature}", span.onset),
            project=context.project,
            service=what.service,
            signature=what.signature,
            template=what.template,
            level=Level(what.level),
            kind=ProblemKind(span.kind),
            onset=span.onset,
            last_seen=span.last,
            count=span.count,
            baseline_per_minute=0,
            rate_per_minute=0,
            score=round(weight * math.log1p(ratio) * criticality, 4),
            parts=ScoreParts(
                severity_weight=weight, spike_ratio=round(ratio, 4), criticality=criticality, baseline=span.baseline
            ),
            why=why,
            suppressed=suppression(
                context, ProblemKind(span.kind), what.service, what.signature, span.onset, span.last, weight
            ),
            samples=tuple(span.samples),
            trace_ids=tuple(span.traces),
        )

    def _alert_problems(self, context: DetectionContext, now: int) -> Iterator[Problem]:
        """An alert that fires is a problem of its own: somebody thought it worth one.

        Not so one of our own rules: it counts the very lines that are judged here, so it is only a hint at its service
        (`observe` looks at that one more closely). Except of a silence that was not found here: no line tells of it.
        """
        silent = self._silences.services()
        for alert in context.alerts:
            if alert.ends_at is not None and alert.ends_at <= now:
                continue
            service = _alert_service(alert.labels) or "unknown"
            if alert.ours and (alert.labels.get("kind") != "silence" or service in silent):
                continue
            level = Level.FATAL if alert.labels.get("severity", "").lower() in ("critical", "page") else Level.ERROR
            weight = 4.0 if level == Level.FATAL else 3.0
            criticality = context.criticality.get(service, 1.0)
            text = alert.annotations.get("summary") or alert.annotations.get("description") or alert.name
            names = self._service_names(context)
            yield Problem(
                id=alert.problem_id,
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
                suppressed=suppression(
                    context, ProblemKind.ALERT, service, f"alert:{alert.name}", alert.starts_at, now, weight
                ),
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
