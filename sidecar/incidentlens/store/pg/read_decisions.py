"""Decisions of a project by time, with their incidents: what a backtest takes again."""

from __future__ import annotations

from collections.abc import Sequence

from incidentlens.model.analysis import EvidenceItem
from incidentlens.model.decisions import Decision
from incidentlens.model.incidents import Incident

from .incidents import load
from .reading import Reader
from .records import DECISIONS, EVIDENCE, to_decision

PAGE = 500


class ReadDecisions(Reader):
    """Beside `store.queries.Queries`."""

    async def decisions_since(self, project: str, since: int, limit: int) -> tuple[list[Decision], int]:
        """The latest `limit` decisions at or after `since` (ns), latest first, and how many more there are.

        Read in pages by an index, no page holding a connection longer than its own statement.
        """
        found: list[Decision] = []
        before: tuple[int, int] | None = None
        while len(found) < limit:
            async with self._read() as session:
                rows = await session.rows(
                    DECISIONS.replace("decision.inputs FROM", "decision.inputs, decision.seq FROM")
                    + "WHERE decision.project = %s AND decision.at >= %s AND (%s::bigint IS NULL "
                    "OR (decision.at, decision.seq) < (%s, %s)) ORDER BY decision.at DESC, decision.seq DESC LIMIT %s",
                    (project, since, *((before[0], *before) if before else (None, None, None)),
                     min(PAGE, limit - len(found))),
                    plan=False,
                )  # fmt: skip
            if not rows:
                return found, 0
            before = (rows[-1]["at"], rows[-1]["seq"])
            found += [to_decision({key: value for key, value in row.items() if key != "seq"}) for row in rows]
        async with self._read() as session:
            counted = await session.row(
                "SELECT count(*) AS n FROM decisions WHERE project = %s AND at >= %s", (project, since)
            )
        return found, (counted["n"] if counted else len(found)) - len(found)

    async def incidents_of(self, project: str, ids: Sequence[str]) -> dict[str, Incident]:
        """Whole incidents by id; those that are not there are left out."""
        wanted = sorted(set(ids))
        found: dict[str, Incident] = {}
        for start in range(0, len(wanted), PAGE):
            async with self._read() as session:
                for incident in await load(session, project, "id = ANY(%s)", (wanted[start : start + PAGE],)):
                    found[incident.id] = incident
        return found

    async def evidence_of(self, project: str, ids: Sequence[str]) -> dict[str, list[EvidenceItem]]:
        """The evidence of incidents, by incident, in the order in which it was found."""
        found: dict[str, list[EvidenceItem]] = {}
        for start in range(0, len(ids), PAGE):
            async with self._read() as session:
                rows = await session.rows(
                    f"SELECT incident_id, {EVIDENCE} FROM evidence WHERE project = %s AND incident_id = ANY(%s) "  # noqa: S608 (our own column list)
                    "ORDER BY incident_id, seq",
                    (project, list(ids[start : start + PAGE])),
                    plan=False,
                )
            for row in rows:
                found.setdefault(row.pop("incident_id"), []).append(EvidenceItem(**row))
        return found
