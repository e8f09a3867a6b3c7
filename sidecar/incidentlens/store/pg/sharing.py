"""The leases of `store.sharing` in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.store.sharing import Lease, divide

from .session import Session


async def claim(session: Session, project: str, queries: Sequence[str], me: str, at: int, lease: int) -> list[str]:
    """Within one transaction. Another sidecar's claim at this very moment is waited for (a few ms): skipping its rows
    would skip one's own to be renewed."""
    until, names = at + lease, sorted(queries)
    await session.run(
        "INSERT INTO sidecars VALUES (%s, %s) ON CONFLICT (holder) DO UPDATE SET seen_until = excluded.seen_until",
        (me, until),
    )
    await session.run(
        "INSERT INTO readings SELECT %s, name, '', 0, 0 FROM unnest(%s::text[]) AS name ON CONFLICT DO NOTHING",
        (project, names),
    )
    rows = await session.rows(
        "SELECT query, holder, leased_until FROM readings WHERE project = %s AND query = ANY(%s::text[]) "
        "ORDER BY query FOR UPDATE",
        (project, names),
    )
    # What is held or wanted counts as a query of all; a query that nobody asks for any more soon counts no longer.
    told = await session.row(
        "SELECT count(*) FILTER (WHERE holder = %s AND leased_until > %s) AS held, "
        "count(*) FILTER (WHERE wanted_until > %s OR (project = %s AND query = ANY(%s::text[]))) AS queries, "
        "(SELECT count(*) FROM sidecars WHERE seen_until > %s) AS sidecars FROM readings",
        (me, at, at, project, names, at),
    )
    assert told is not None
    mine, given_up = divide([Lease(**row) for row in rows], me, at, **{name: int(told[name]) for name in told})
    await session.run(
        "UPDATE readings SET wanted_until = %s, "
        "holder = CASE WHEN query = ANY(%s::text[]) THEN %s WHEN query = ANY(%s::text[]) THEN '' ELSE holder END, "
        "leased_until = CASE WHEN query = ANY(%s::text[]) THEN %s WHEN query = ANY(%s::text[]) THEN 0 "
        "ELSE leased_until END WHERE project = %s AND query = ANY(%s::text[])",
        (until, mine, me, given_up, mine, until, given_up, project, [row["query"] for row in rows]),
    )
    return list(mine)


async def release(session: Session, project: str, me: str) -> None:
    await session.run(
        "UPDATE readings SET holder = '', leased_until = 0 WHERE project = %s AND holder = %s", (project, me)
    )
