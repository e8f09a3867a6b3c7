"""What is simple: the loudest service, and the one whose share of errors grew most. Measured beside ours."""

from __future__ import annotations

import polars as pl

from incidentlens.intake.reading import EventReader

_FAILING = ("error", "fatal")


def loudest(records: pl.DataFrame) -> list[str]:
    """Services by their number of failing lines, most first. `records`: LINES."""
    counts = _counts(records)
    return _order({service: float(failing) for service, (failing, _) in counts.items() if failing})


def error_share_growth(records: pl.DataFrame, baseline: pl.DataFrame) -> list[str]:
    """Services by how much their share of failing lines grew against the baseline, most first."""
    usual = _counts(baseline)
    growth = {}
    for service, (failing, lines) in _counts(records).items():
        before, whole = usual.get(service, (0, 0))
        growth[service] = failing / lines - (before / whole if whole else 0.0)
    return _order({service: value for service, value in growth.items() if value > 0})


def _counts(lines: pl.DataFrame) -> dict[str, tuple[int, int]]:
    """{service: (failing events, events)}."""
    if lines.is_empty():
        return {}
    events = EventReader().read(lines)
    rows = events.group_by("service").agg(pl.col("level").is_in(_FAILING).sum().alias("failing"), pl.len())
    return {service: (int(failing), int(count)) for service, failing, count in rows.iter_rows()}


def _order(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda service: (-scores[service], service))
