"""The slowest requests grow slower, which often comes before the failures."""

from __future__ import annotations

from statistics import median

import re2

from incidentlens.model.analysis import Bundle, EvidenceItem, Finding
from incidentlens.model.terms import ProblemKind, Severity

from ..citing import items, problem_records
from ..context import AnalysisContext
from .base import readable

_DURATION = re2.compile(
    r"(?i)(?:took|after|in|duration|latency|elapsed|response_time|request_time|cost)[\"']?\s*[=:]?\s*[\"']?"
    r"(\d{1,9}(?:\.\d{1,6})?)\s?(ms|milliseconds|s|sec|seconds|us|µs)\b"
)
_IN_MS = {"ms": 1.0, "milliseconds": 1.0, "s": 1000.0, "sec": 1000.0, "seconds": 1000.0, "us": 0.001, "µs": 0.001}
_MIN_RECORDS = 6
_GROWTH = 3.0
_MIN_MS = 100.0


class TailLatency:
    """From a latency problem, or from the durations that the service's records themselves state."""

    name = "tail_latency"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        for problem in bundle.incident.problems:
            if problem.kind is ProblemKind.LATENCY:
                return Finding(
                    rule=self.name,
                    severity=Severity.HIGH if problem.parts.spike_ratio >= 5 else Severity.MEDIUM,
                    confidence=0.8,
                    text=f"{problem.service} grows slow (“{readable(problem.template)}”): {problem.why}",
                    evidence=problem_records(bundle, problem),
                )
        for service in bundle.incident.services:
            finding = self._stated(service, items(bundle, "record", lambda item, s=service: item.service == s))  # type: ignore[misc]
            if finding is not None:
                return finding
        return None

    def _stated(self, service: str, records: list[EvidenceItem]) -> Finding | None:
        timed = [
            (item, value)
            for item in sorted(records, key=lambda item: item.ts)
            if (value := stated_ms(item.text)) is not None
        ]
        if len(timed) < _MIN_RECORDS:
            return None
        middle = len(timed) // 2
        early, late = timed[:middle], timed[middle:]
        before = median(value for _, value in early)
        slowest = sorted(late, key=lambda entry: -entry[1])[:3]
        tail = slowest[len(slowest) // 2][1]  # the second slowest: one odd record is no tail
        if tail < _MIN_MS or tail < before * _GROWTH:
            return None
        return Finding(
            rule=self.name,
            severity=Severity.MEDIUM,
            confidence=round(min(0.75, 0.4 + 0.03 * len(timed)), 2),
            text=f"{service}: the slowest records state {tail:,.4g} ms, where {before:,.4g} ms was the middle before",
            evidence=(early[0][0].id, *(item.id for item, _ in slowest)),
        )


def stated_ms(text: str) -> float | None:
    """The longest duration a record states, in milliseconds; None where it states none."""
    found = [float(number) * _IN_MS[unit.lower()] for number, unit in _DURATION.findall(_searchable(text))]
    return max(found, default=None)


def _searchable(text: str) -> str:
    return text[:2_000].encode("utf-8", "replace").decode()
