"""The order of failures within traces: the deepest failure is written first, an error travels up to the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from incidentlens.model.incidents import Problem

_MAX_ROWS = 20_000
_MAX_PROOF = 4


@dataclass(slots=True)
class Led:
    """`times` of `both` traces in which one service failed before another; `proof` are ids of records."""

    times: int = 0
    both: int = 0
    proof: list[str] = field(default_factory=list)


def trace_order(by_service: Mapping[str, Sequence[Problem]], signed: pl.DataFrame | None) -> dict[tuple[str, str], Led]:
    """{(effect, cause): how often the cause failed first in a trace that both share}."""
    first: dict[str, dict[str, tuple[int, str]]] = {}  # trace: service: (time, record id)
    for service, problems in by_service.items():
        for sample in (sample for problem in problems for sample in problem.samples):
            if sample.trace_id:
                at = first.setdefault(sample.trace_id, {})
                if service not in at or sample.ts < at[service][0]:
                    at[service] = (sample.ts, sample.id)
    for trace, service, ts in _failing(by_service, signed):
        at = first.setdefault(trace, {})
        if service not in at:
            at[service] = (ts, "")
    led: dict[tuple[str, str], Led] = {}
    for at in first.values():
        order = sorted(at, key=lambda service: at[service])
        for index, cause in enumerate(order):
            for effect in order[index + 1 :]:
                found = led.setdefault((effect, cause), Led())
                found.times += 1
                found.proof.extend(at[name][1] for name in (cause, effect) if at[name][1])
    for (effect, cause), found in led.items():
        other = led.get((cause, effect))
        found.both = found.times + (other.times if other else 0)
        del found.proof[_MAX_PROOF:]
    return led


def _failing(by_service: Mapping[str, Sequence[Problem]], signed: pl.DataFrame | None) -> list[tuple[str, str, int]]:
    """(trace, service, first time) of the incident's signatures in `signed`."""
    if signed is None or signed.height == 0:
        return []
    keys = {(problem.service, problem.signature) for own in by_service.values() for problem in own}
    wanted = pl.DataFrame(
        {"service": [service for service, _ in keys], "signature": [signature for _, signature in keys]},
        schema={"service": pl.String, "signature": pl.String},
    )
    rows = (
        signed.lazy()
        .filter(pl.col("trace_id").is_not_null())
        .select("trace_id", "service", "signature", "ts")
        .join(wanted.lazy(), on=["service", "signature"], how="semi")
        .group_by("trace_id", "service")
        .agg(pl.col("ts").min())
        .sort("ts")
        .head(_MAX_ROWS)
        .collect()
    )
    return list(rows.iter_rows())
