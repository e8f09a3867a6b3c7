"""Removes what is old and no longer needed, in short steps."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from incidentlens.store.base import Pruned

from .transaction import PgTransaction

STEP = 20_000  # rows a transaction: the project's lock is held for a moment each time

OLD = {
    "counts": "SELECT ctid FROM counts WHERE project = %s AND bucket < %s",
    "counts_hourly": "SELECT ctid FROM counts_hourly WHERE project = %s AND bucket < %s",
    "seen_records": "SELECT ctid FROM seen_records WHERE project = %s AND ts < %s",
    "problem_samples": (
        "SELECT sample.ctid FROM incidents AS incident JOIN problem_samples AS sample "
        "ON sample.project = incident.project AND sample.incident_id = incident.id "
        "WHERE incident.project = %s AND incident.ended_at < %s"
    ),
    "quarantine": "SELECT ctid FROM quarantine WHERE project = %s AND at < %s",
    "outbox": "SELECT ctid FROM outbox WHERE project = %s AND done_at < %s",
}


async def prune(
    begin: Callable[[str], AbstractAsyncContextManager[PgTransaction]],
    project: str,
    before: int,
    hourly_before: int | None,
) -> Pruned:
    """See `base.Store.prune`."""

    async def remove(table: str, limit: int) -> int:
        removed = 0
        while True:
            async with begin(project) as transaction:
                step = await transaction.session.run(
                    f"DELETE FROM {table} WHERE ctid = ANY(ARRAY({OLD[table]} LIMIT {STEP}))",
                    (project, limit),
                )
            removed += step
            if step < STEP:
                return removed

    return Pruned(
        counts=await remove("counts", before),
        hourly=0 if hourly_before is None else await remove("counts_hourly", hourly_before),
        seen=await remove("seen_records", before),
        samples=await remove("problem_samples", before),
        outbox=await remove("outbox", before),
        quarantined=await remove("quarantine", before),
    )
