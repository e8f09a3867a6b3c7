"""What wants notifying now, and how the incidents of runbooks ended."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.base import Value
from incidentlens.model.decisions import Action
from incidentlens.model.terms import Disposition, Outcome

from .reading import Reader
from .records import ACTION

OPEN_ALERTS = 2_000
NOTIFYING = [disposition.value for disposition in Disposition if disposition.notifies]


class RunbookEnd(Value):
    """How one incident of a runbook ended; `verdict` is a person's latest, or empty."""

    runbook: str
    disposition: Disposition
    outcome: Outcome
    reopened: int
    verdict: str


class Told(Value):
    """A notification of an incident that goes on. `raised_to`: that it came to since, of which others were told."""

    action: Action
    raised_to: Disposition | None = None


class ReadAlerts(Reader):
    """Beside `store.queries.Queries`."""

    async def open_notifications(self, project: str) -> list[Action]:
        """The notification of every incident that is open or verifying and somebody was told of: the latest a live
        project sent in this episode, at a disposition that still notifies. At most 2,000, the latest first."""
        return [told.action for told in await self.told(project) if told.raised_to is None]

    async def told(self, project: str) -> list[Told]:
        """The same, and after them those that people were told before, at a lesser disposition."""
        columns = ", ".join(f"action.{column.strip()}" for column in ACTION.split(","))
        async with self._read() as session:
            rows = await session.rows(
                f"SELECT {columns} FROM (SELECT id, reopened FROM incidents WHERE project = %s "
                "AND status IN ('open', 'verifying') AND disposition = ANY(%s)) AS incident CROSS JOIN LATERAL ("
                "SELECT DISTINCT ON (said) of_it.* FROM ("
                "SELECT told.*, told.payload #>> '{labels,disposition}' AS said FROM actions AS told "
                "JOIN decisions AS decision ON decision.project = told.project AND decision.id = told.decision_id "
                "WHERE told.project = %s AND told.incident_id = incident.id AND told.kind = 'notify' "
                "AND told.state = 'done' AND coalesce(decision.inputs ->> 'episode', '0') = incident.reopened::text"
                ") AS of_it ORDER BY said, at DESC, seq DESC) AS action "
                "ORDER BY action.at DESC, action.seq DESC LIMIT %s",
                (project, NOTIFYING, project, OPEN_ALERTS * len(NOTIFYING)),
                plan=False,
            )
        now: dict[str, Told] = {}
        before: list[Told] = []
        for row in rows:
            action = Action(**row)
            latest = now.get(action.incident_id)
            if latest is None:
                now[action.incident_id] = Told(action=action)
            else:
                before.append(Told(action=action, raised_to=_disposition(latest.action)))
        return [*list(now.values())[:OPEN_ALERTS], *before]

    async def runbook_ends(
        self, project: str, runbooks: Sequence[str], *, since: int, limit: int = 50
    ) -> list[RunbookEnd]:
        """The latest verified ends of incidents opened at or after `since` (ns), at most `limit` a runbook."""
        async with self._read() as session:
            rows = await session.rows(
                "SELECT asked.runbook, ended.disposition, ended.outcome, ended.reopened, coalesce((SELECT verdict "
                "FROM feedback WHERE project = %s AND incident_id = ended.id ORDER BY at DESC, seq DESC LIMIT 1), '') "
                "AS verdict FROM unnest(%s::text[]) AS asked (runbook) CROSS JOIN LATERAL (SELECT id, disposition, "
                "outcome, reopened FROM incidents WHERE project = %s AND runbook = asked.runbook AND opened_at >= %s "
                "AND outcome IS NOT NULL ORDER BY opened_at DESC, id DESC LIMIT %s) AS ended",
                (project, list(runbooks), project, since, limit),
                plan=False,
            )
        return [RunbookEnd(**row) for row in rows]


def _disposition(action: Action) -> Disposition | None:
    kept = action.payload.get("labels")
    name = kept.get("disposition") if isinstance(kept, dict) else None
    return Disposition(name) if name in NOTIFYING else None
