"""How many records a minute the live incidents have had: what thresholds over some minutes are held against."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from incidentlens.model.clock import MINUTE
from incidentlens.model.incidents import Incident
from incidentlens.model.signatures import SignatureCount

_KEPT = 240  # minutes


class Minutes:
    """Counts of the live incidents' signatures. A restart begins them anew; policy then estimates."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)

    def forget(self) -> None:
        """A tick failed: what was counted in it is counted again."""
        self._counts.clear()

    def add(self, counts: Iterable[SignatureCount], live: Iterable[Incident], now: int) -> None:
        """Take in a tick's counts; those of no live incident and those too old at `now` (ns) are dropped."""
        wanted = {
            (problem.service, problem.signature)
            for incident in live
            if incident.status.active
            for problem in incident.problems
        }
        for key in self._counts.keys() - wanted:
            del self._counts[key]
        edge = now - _KEPT * MINUTE
        for count in counts:
            key = (count.service, count.signature)
            if key in wanted:
                minutes = self._counts[key]
                minutes[count.bucket] = minutes.get(count.bucket, 0) + count.count
                for old in [bucket for bucket in minutes if bucket < edge]:
                    del minutes[old]

    def of(self, incident: Incident) -> tuple[tuple[int, int], ...]:
        """(start of the minute in ns, records) of an incident; empty where its history is not whole."""
        total: dict[int, int] = {}
        for key in {(problem.service, problem.signature) for problem in incident.problems}:
            for bucket, count in self._counts.get(key, {}).items():
                total[bucket] = total.get(bucket, 0) + count
        if sum(total.values()) < incident.count:
            return ()
        return tuple(sorted(total.items()))
