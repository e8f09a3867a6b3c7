"""Steady signatures that stopped: a heartbeat that no longer comes, a job that no longer runs.

A signature is steady where, over enough history, its minutes hardly vary more than chance would have them. Only those
are watched, at most a few hundred, so that a look costs nothing; and only while the project still writes other lines,
since a silent intake is no news of any service.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import orjson

from incidentlens.model.clock import MINUTE
from incidentlens.model.incidents import Sample
from incidentlens.model.terms import ProblemKind

from .judge import Judge, probability
from .keys import Key, Span
from .memory import Memory
from .settings import DetectionSettings

WEIGHT = 2.0  # severity weight of a heartbeat that stopped
_WATCHED = "g:steady"
_MAX_WATCHED = 300
_HISTORY = 60.0  # minutes of history a signature needs to be called steady
_RATE = 0.5  # events a minute
_DISPERSION = 1.5  # variance over mean of its minutes, at most
_MISSED = 25.0  # usual events that did not come: chance explains that less than once in 10^10


@dataclass(frozen=True, slots=True)
class Silent:
    """A steady key that stopped; `span` lasts until it writes again."""

    key: Key
    span: Span


class Silences:
    """Watches the steady signatures."""

    def __init__(self, state: dict[str, bytes], settings: DetectionSettings, memory: Memory, judge: Judge) -> None:
        self._half_life = settings.half_life / MINUTE
        self._memory = memory
        self._judge = judge
        # (service, signature): the newest record that was seen, kept as what the silence is proved by
        self._watched: dict[tuple[str, str], Sample] = {}
        self._spans: dict[tuple[str, str], Span] = {}
        for service, signature, sample, span in orjson.loads(state.get(_WATCHED) or b"[]"):
            self._watched[(service, signature)] = Sample(**sample)
            if span:
                self._spans[(service, signature)] = Span.decode(span)
        self._changed = False
        self._since = 0  # ns; silence of what was only learnt counts from the first record after it

    def steady(self, key: Key) -> bool:
        """True where the key is worth watching, as far as its history says."""
        if key.weight > 0 or key.total < _HISTORY * _RATE:
            return False
        events, minutes, dispersion = key.usual(self._judge.base_at(), self._half_life)
        return minutes >= _HISTORY and events / minutes >= _RATE and dispersion <= _DISPERSION

    def wants(self, key: Key) -> bool:
        """True where the newest record of the key should be given to `watch`."""
        place = (key.service, key.signature)
        return place in self._watched or (len(self._watched) < _MAX_WATCHED and self.steady(key))

    def begin(self, at: int) -> None:
        """What was learnt may be of another day: only from `at` (ns) on is a signature missed."""
        self._since = at

    def watch(self, key: Key, newest: Sample) -> None:
        """The key wrote: it is watched from here on, and if it was silent it no longer is."""
        place = (key.service, key.signature)
        if self.steady(key):
            self._watched[place] = newest
        else:
            self._watched.pop(place, None)
        self._spans.pop(place, None)
        self._changed = True

    def look(self, now: int) -> list[Silent]:
        """What is silent at `now` (ns of the records' clock)."""
        found = []
        for place in list(self._watched):
            key = self._memory.key(*place, change=False)
            if key is None:
                del self._watched[place]
                self._changed = True
                continue
            events, minutes, _ = key.usual(self._judge.base_at(), self._half_life)
            missed = (now - max(key.last_seen, self._since)) / MINUTE * events / max(minutes, 1.0)
            if missed < _MISSED:
                continue
            span = self._spans.get(place)
            if span is None:
                span = self._spans[place] = self._begin(key, self._watched[place], events / max(minutes, 1.0), minutes)
            if span.last < now:
                span.last = now
                span.count = round(missed)
                span.ratio = max(span.ratio, missed)
                self._changed = True
                found.append(Silent(key, span))
        return found

    def services(self) -> set[str]:
        """Services of which something is silent, as of the last look."""
        return {service for service, _ in self._spans}

    def changed(self) -> dict[str, bytes]:
        """State that changed since the last call of this."""
        if not self._changed:
            return {}
        self._changed = False
        rows = [
            [*place, sample.model_dump(), self._spans[place].encode() if place in self._spans else None]
            for place, sample in self._watched.items()
        ]
        return {_WATCHED: orjson.dumps(rows)}

    def _begin(self, key: Key, newest: Sample, rate: float, minutes: float) -> Span:
        return Span(
            kind=ProblemKind.SILENCE.value,
            onset=key.last_seen,
            last=0,
            count=0,
            expected=rate,
            ratio=1.0,
            p=math.exp(-_MISSED),
            why=(
                f"came {rate:.2g} times a minute for {minutes:.0f} min and has stopped "
                f"({probability(math.exp(-_MISSED))})"
            ),
            samples=[newest],
        )
