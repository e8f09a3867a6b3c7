"""The outbox's reading end: claimed by lease, so that any number of publishers share it."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from incidentlens.store.base import OutboxItem

from .session import Session

ITEM = "id, project, target, key, payload, attempts, next_attempt_at"


async def claim(session: Session, at: int, limit: int, lease: int) -> list[OutboxItem]:
    """Items due at `at`, oldest first, leased for `lease` ns. What another is claiming at this moment is skipped."""
    rows = await session.rows(
        "WITH due AS (SELECT id FROM outbox WHERE done_at IS NULL AND given_up_at IS NULL AND next_attempt_at <= %s "
        "AND (leased_until IS NULL OR leased_until <= %s) ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED), "
        f"taken AS (UPDATE outbox SET leased_until = %s WHERE id IN (SELECT id FROM due) RETURNING {ITEM}) "
        f"SELECT {ITEM} FROM taken ORDER BY id",
        (at, at, limit, at + lease),
    )
    return [OutboxItem(**row) for row in rows]


async def done(session: Session, item_id: int, at: int) -> None:
    await session.run(
        "UPDATE outbox SET done_at = %s, leased_until = NULL, given_up_at = NULL, error = NULL WHERE id = %s "
        "AND done_at IS NULL",
        (at, item_id),
    )


async def failed(session: Session, item_id: int, at: int, error: str, retry_at: int | None) -> None:
    await session.run(
        "UPDATE outbox SET attempts = attempts + 1, leased_until = NULL, error = %s, "
        "next_attempt_at = coalesce(%s::bigint, next_attempt_at), "
        "given_up_at = CASE WHEN %s::bigint IS NULL THEN %s::bigint END WHERE id = %s AND done_at IS NULL",
        (error, retry_at, retry_at, at, item_id),
    )
