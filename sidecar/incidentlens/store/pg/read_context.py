"""Deploys, maintenance, actions, events, services, the outbox, quarantine and patterns, as lists."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from psycopg.rows import DictRow

from incidentlens.model.analysis import PatternUse
from incidentlens.model.decisions import Action, Deploy, IncidentEvent, Maintenance
from incidentlens.model.terms import ActionKind
from incidentlens.store.base import Quarantined
from incidentlens.store.paging import Page, check_limit, cut, decode, encode, list_key
from incidentlens.store.queries import ActionRow, OutboxState

from .context import DEPLOY, MAINTENANCE
from .intake import QUARANTINE
from .reading import Reader, Where, after, ordered
from .records import EVENT


class ReadContext(Reader):
    """See `store.queries.Queries`."""

    async def list_deploys(
        self, project: str, *, service: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Deploy]:
        where = Where("project = %s", project)
        if service is not None:
            where.add("service = %s", service)
        key = list_key("deploys", project=project, service=service)
        rows, following = await self._page(
            f"SELECT project, {DEPLOY} FROM deploys", where, "at, id", (int, str), key, limit, cursor
        )
        return Page(items=tuple(Deploy(**row) for row in rows), next_cursor=following)

    async def list_maintenance(
        self, project: str, *, now: int | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Maintenance]:
        where = Where("project = %s", project)
        if now is not None:
            where.add("ends_at > %s", now)
        key = list_key("maintenance", project=project, current=now is not None)
        rows, following = await self._page(
            f"SELECT project, {MAINTENANCE} FROM maintenance", where, "starts_at, id", (int, str), key, limit, cursor
        )
        return Page(items=tuple(Maintenance(**row) for row in rows), next_cursor=following)

    async def list_actions(
        self,
        project: str,
        *,
        kind: ActionKind | None = None,
        state: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[ActionRow]:
        where = Where("action.project = %s", project)
        if kind is not None:
            where.add("action.kind = %s", kind.value)
        if state is not None:
            where.add("action.state = %s", state)
        key = list_key("actions", project=project, kind=kind, state=state)
        rows, following = await self._page(
            "SELECT key, incident_id, decision_id, kind, at, state, payload, seq, (SELECT title FROM incidents "
            "WHERE project = action.project AND id = action.incident_id) AS title FROM actions AS action",
            where, "at, seq", (int, int), key, limit, cursor,
        )  # fmt: skip
        items = []
        for row in rows:
            title = row.pop("title")
            row.pop("seq")
            items.append(ActionRow(action=Action(**row), title=title))
        return Page(items=tuple(items), next_cursor=following)

    async def list_events(
        self, project: str, *, since: int | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[IncidentEvent]:
        where = Where("project = %s", project)
        if since is not None:
            where.add("at >= %s", since)
        key = list_key("events", project=project, since=since)
        rows, following = await self._page(
            f"SELECT {EVENT}, seq FROM events", where, "at, seq", (int, int), key, limit, cursor
        )
        for row in rows:
            row.pop("seq")
        return Page(items=tuple(IncidentEvent(**row) for row in rows), next_cursor=following)

    async def services(self, project: str) -> list[str]:
        async with self._read() as session:
            rows = await session.rows(
                "SELECT service FROM services WHERE project = %s ORDER BY service LIMIT 5000", (project,)
            )
        return [row["service"] for row in rows]

    async def outbox_state(self, project: str) -> OutboxState:
        async with self._read() as session:
            waiting = await session.row(
                "SELECT count(*) AS n, min(created_at) AS oldest FROM outbox "
                "WHERE project = %s AND done_at IS NULL AND given_up_at IS NULL",
                (project,),
            )
            given_up = await session.row(
                "SELECT count(*) AS n, (array_agg(error ORDER BY given_up_at DESC))[1] AS error FROM outbox "
                "WHERE project = %s AND given_up_at IS NOT NULL",
                (project,),
            )
        assert waiting is not None
        assert given_up is not None
        return OutboxState(
            waiting=waiting["n"], oldest=waiting["oldest"], given_up=given_up["n"], last_error=given_up["error"]
        )

    async def list_quarantined(self, project: str, *, limit: int = 50, cursor: str | None = None) -> Page[Quarantined]:
        key = list_key("quarantine", project=project)
        rows, following = await self._page(
            f"SELECT {QUARANTINE} FROM quarantine", Where("project = %s", project), "at, id", (int, str), key, limit,
            cursor,
        )  # fmt: skip
        return Page(items=tuple(Quarantined(**row) for row in rows), next_cursor=following)

    async def count_quarantined(self) -> dict[str, int]:
        async with self._read() as session:
            rows = await session.rows("SELECT project, count(*) AS n FROM quarantine GROUP BY project")
        return {row["project"]: row["n"] for row in rows}

    async def pattern_uses(self, project: str) -> list[PatternUse]:
        async with self._read() as session:
            rows = await session.rows(
                "SELECT runbook AS runbook_id, pattern, since, last_matched_at FROM pattern_uses WHERE project = %s "
                'ORDER BY runbook COLLATE "C", pattern COLLATE "C"',
                (project,),
            )
        return [PatternUse(**row) for row in rows]

    async def _page(
        self,
        select: str,
        where: Where,
        columns: str,
        kinds: tuple[type, ...],
        key: str,
        limit: int,
        cursor: str | None,
    ) -> tuple[list[DictRow], str | None]:
        """One page of a list, the greatest first, and the cursor of the next."""
        check_limit(limit)
        position = decode(cursor, key, kinds)
        if position is not None:
            where.add(after(columns, True, len(kinds)), *position)
        async with self._read() as session:
            rows = await session.rows(
                f"{select} WHERE {where} ORDER BY {ordered(columns, True)} LIMIT %s",
                (*where.params, limit + 1),
                plan=False,
            )
        rows, more = cut(rows, limit)
        if not more:
            return rows, None
        return rows, encode(key, [rows[-1][name.strip()] for name in columns.split(",")])
