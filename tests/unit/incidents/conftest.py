"""Real problems and incidents, built in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from incidentlens.detection import problem_id
from incidentlens.model.clock import SECOND
from incidentlens.model.incidents import Problem, Sample, ScoreParts
from incidentlens.model.records import record_id, stream_key
from incidentlens.model.terms import Level, ProblemKind

START = 1_700_000_000 * SECOND


def problem(
    service: str, template: str, at: float = 0.0, *, lasts: float = 30.0, count: int = 20, traces: tuple[str, ...] = (),
    mentions: tuple[str, ...] = (), level: Level = Level.ERROR, score: float = 9.0, signature: str = "", **more: Any,
) -> Problem:  # fmt: skip
    """A problem that began `at` seconds after START, with samples that say `template` under its traces."""
    onset = START + int(at * SECOND)
    stream = stream_key({"service": service})
    signature = signature or f"app:{level.name}:{template[:30]}"
    samples = tuple(
        Sample(
            id=record_id(stream, onset + i, template),
            ts=onset + i,
            service=service,
            stream=stream,
            level=level,
            line=template,
            message=template,
            trace_id=traces[i] if i < len(traces) else None,
            signature=signature,
        )
        for i in range(3)
    )
    values = {
        "id": problem_id("p", service, signature, onset),
        "project": "p",
        "service": service,
        "signature": signature,
        "template": template,
        "level": level,
        "kind": ProblemKind.NEW,
        "onset": onset,
        "last_seen": onset + int(lasts * SECOND),
        "count": count,
        "baseline_per_minute": 0.01,
        "rate_per_minute": 40.0,
        "score": score,
        "parts": ScoreParts(severity_weight=3, spike_ratio=20, criticality=1),
        "why": f"{count} times in 30 s, never before in 2 h of history",
        "samples": samples,
        "trace_ids": traces,
        "mentions": mentions,
    }
    return Problem(**{**values, **more})


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    return problem
