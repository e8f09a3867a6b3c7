"""Lists of Grafana's panels: evidence, actions and watches, of some incidents or of a time."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

from psycopg.rows import DictRow

from incidentlens.model.analysis import EvidenceItem
from incidentlens.model.base import Value
from incidentlens.model.decisions import Action, Verification
from incidentlens.model.terms import Disposition, Severity
from incidentlens.store.queries import ActionRow

from .panels import PanelFilter, conditions_of
from .reading import Reader, Where
from .records import ACTION, VERIFICATION, to_verification


class FoundEvidence(Value):
    """An item with its incident; `cut` counts the characters of its text that are not given."""

    incident_id: str
    item: EvidenceItem
    cut: int


class PanelAction(Value):
    """An action with what a list shows of its incident."""

    row: ActionRow
    service: str
    severity: Severity
    disposition: Disposition


class PanelWatch(Value):
    """A watch with its incident's title."""

    watch: Verification
    title: str


class ReadLists(Reader):
    """Beside `store.queries.Queries`."""

    async def panel_evidence(
        self, project: str, incidents: Sequence[str], *, kinds: Sequence[str] = (), text: int, limit: int
    ) -> list[FoundEvidence]:
        """Evidence of those incidents in order of time, at most `limit` items of at most `text` characters."""
        where = Where("project = %s", project)
        where.add("incident_id = ANY(%s)", list(incidents))
        if kinds:
            where.add("kind = ANY(%s)", list(kinds))
        async with self._read() as session:
            rows = await session.rows(
                "SELECT incident_id, id, kind, service, ts, left(text, %s) AS text, length(text) AS length, data "
                f"FROM evidence WHERE {where} ORDER BY ts, seq LIMIT %s",
                (text, *where.params, limit),
                plan=False,
            )
        return [
            FoundEvidence(
                incident_id=row.pop("incident_id"), cut=max(0, row.pop("length") - text), item=EvidenceItem(**row)
            )
            for row in rows
        ]

    async def panel_actions(
        self,
        project: str,
        where: PanelFilter,
        *,
        since: int,
        until: int,
        kinds: Sequence[str] = (),
        states: Sequence[str] = (),
        limit: int,
    ) -> list[PanelAction]:
        """Actions of that time, or of the incidents named in `where` whenever they were; the latest first."""
        conditions = conditions_of(project, where)
        if conditions is None:
            return []
        of = Where("action.project = %s", project)
        if where.ids:
            of.add("action.incident_id = ANY(%s)", list(where.ids))
        else:
            of.add("action.at >= %s", since)
            of.add("action.at < %s", until)
        if kinds:
            of.add("action.kind = ANY(%s)", list(kinds))
        if states:
            of.add("action.state = ANY(%s)", list(states))
        columns = ", ".join(f"action.{column.strip()}" for column in ACTION.split(","))
        async with self._read() as session:
            rows = await session.rows(
                f"SELECT {columns}, incident.title, incident.service, incident.severity, incident.disposition "
                "FROM actions AS action CROSS JOIN LATERAL (SELECT title, service, severity, disposition "
                f"FROM incidents WHERE {conditions} AND id = action.incident_id LIMIT 1) AS incident WHERE {of} "
                "ORDER BY action.at DESC, action.seq DESC LIMIT %s",
                (*conditions.params, *of.params, limit),
                plan=False,
            )
        found = []
        for row in rows:
            of_incident = {name: row.pop(name) for name in ("service", "severity", "disposition")}
            title = row.pop("title")
            found.append(PanelAction(row=ActionRow(action=Action(**row), title=title), **of_incident))
        return found

    async def panel_watches(
        self, project: str, where: PanelFilter, *, since: int, until: int, limit: int
    ) -> list[PanelWatch]:
        """Watches that ended in that time or go on, or those of the incidents named in `where`; those that go on first,
        then the latest."""
        conditions = conditions_of(project, where)
        if conditions is None:
            return []
        columns = ", ".join(f"watch.{column.strip()}" for column in VERIFICATION.split(","))
        of_it = f"SELECT title FROM incidents WHERE {conditions} AND id = watch.incident_id LIMIT 1"
        parts: list[tuple[str, str, tuple[object, ...]]] = []
        if where.ids:
            parts.append(("watch.incident_id = ANY(%s)", "watch.started_at DESC", (list(where.ids),)))
        else:
            going_on = "watch.outcome IS NULL AND watch.started_at < %s"
            parts.append((going_on, "watch.started_at DESC, watch.seq DESC", (until,)))
            ended = "watch.outcome IS NOT NULL AND watch.ended_at >= %s AND watch.ended_at < %s"
            parts.append((ended, "watch.ended_at DESC, watch.outcome DESC", (since, until)))
        rows: list[DictRow] = []
        async with self._read() as session:
            for condition, order, params in parts:
                if len(rows) < limit:
                    rows += await session.rows(
                        f"SELECT {columns}, incident.title FROM verifications AS watch "
                        f"CROSS JOIN LATERAL ({of_it}) AS incident WHERE watch.project = %s AND {condition} "
                        f"ORDER BY {order} LIMIT %s",
                        (*conditions.params, project, *params, limit - len(rows)),
                        plan=False,
                    )
        return [PanelWatch(title=row.pop("title"), watch=to_verification(row)) for row in rows]
