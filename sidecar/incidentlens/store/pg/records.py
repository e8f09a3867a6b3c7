"""What hangs on an incident: evidence, analyses, decisions, actions, verifications, events, feedback."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
from psycopg.rows import DictRow

from incidentlens.model.analysis import Analysis, EvidenceItem
from incidentlens.model.base import Value
from incidentlens.model.decisions import Action, Check, Decision, Feedback, IncidentEvent, Reason, Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.past import PastIncident
from incidentlens.model.terms import ActionKind
from incidentlens.store.base import StoreRefused
from incidentlens.store.text import clean, clean_json

from .past import past_incidents
from .session import Session, as_json, batches

EVIDENCE = "id, kind, service, ts, text, data"
DECISION = (
    "decision.id, decision.incident_id, decision.at, decision.mode, decision.disposition, decision.severity, "
    "decision.actions, decision.tell, decision.reasons, policies.body AS policy, decision.inputs"
)
DECISIONS = (
    f"SELECT {DECISION} FROM decisions AS decision "
    "JOIN policies ON policies.project = decision.project AND policies.digest = decision.policy "
)
ACTION = "key, incident_id, decision_id, kind, at, state, payload"
VERIFICATION = "id, incident_id, started_at, quiet_ns, quiet_since, query, checks, outcome, ended_at, why"
EVENT = "incident_id, at, kind, text, by, data"
FEEDBACK = "id, incident_id, at, by, verdict, text, service, withdrawn_at, withdrawn_by"


def dump(value: Value) -> dict[str, Any]:
    """As JSON would have it. Cleaned first: pydantic replaces a lone surrogate by three characters, or refuses it."""
    return clean(value).model_dump(mode="json")


def to_decision(row: DictRow) -> Decision:
    row["reasons"] = tuple(Reason(**reason) for reason in row["reasons"])
    return Decision(**row)


def to_verification(row: DictRow) -> Verification:
    row["checks"] = tuple(Check(**check) for check in row["checks"])
    return Verification(**row)


class RecordsPart:
    """The methods of `base.Transaction` over these tables."""

    project: str
    session: Session
    changed: dict[str, None]

    async def save_evidence(self, incident_id: str, items: Sequence[EvidenceItem]) -> None:
        self._touch(incident_id)
        for batch in batches(items, 1_000):
            await self.session.many(
                f"INSERT INTO evidence (project, incident_id, {EVIDENCE}) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (
                    (self.project, incident_id, item.id, item.kind, item.service, item.ts, item.text,
                     as_json(dump(item)["data"]))
                    for item in batch
                ),
            )  # fmt: skip

    async def evidence(self, incident_id: str) -> list[EvidenceItem]:
        rows = await self.session.rows(
            f"SELECT {EVIDENCE} FROM evidence WHERE project = %s AND incident_id = %s ORDER BY seq",
            (self.project, incident_id),
        )
        return [EvidenceItem(**row) for row in rows]

    async def save_analysis(self, incident_id: str, at: int, analysis: Analysis) -> None:
        self._touch(incident_id)
        await self.session.run(
            "INSERT INTO analyses (project, incident_id, at, source, severity, disposition, confidence, body) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (self.project, incident_id, at, analysis.source, analysis.severity.value, analysis.disposition.value,
             analysis.confidence, as_json(dump(analysis))),
        )  # fmt: skip

    async def latest_analysis(self, incident_id: str) -> Analysis | None:
        row = await self.session.row(
            "SELECT body FROM analyses WHERE project = %s AND incident_id = %s ORDER BY at DESC, seq DESC LIMIT 1",
            (self.project, incident_id),
        )
        return None if row is None else Analysis(**row["body"])

    async def add_decision(self, decision: Decision) -> None:
        self._touch(decision.incident_id)
        dumped = clean_json(dump(decision))
        digest = hashlib.sha256(orjson.dumps(dumped["policy"], option=orjson.OPT_SORT_KEYS)).hexdigest()
        await self.session.run(
            "INSERT INTO policies (project, digest, body) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (self.project, digest, as_json(dumped["policy"])),
        )
        await self.session.run(
            "INSERT INTO decisions (project, id, incident_id, at, mode, disposition, severity, actions, tell, reasons, "
            "policy, inputs) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (self.project, decision.id, decision.incident_id, decision.at, decision.mode.value,
             decision.disposition.value, decision.severity.value, [kind.value for kind in decision.actions],
             decision.tell, as_json(dumped["reasons"]), digest, as_json(dumped["inputs"])),
        )  # fmt: skip

    async def decisions(self, incident_id: str) -> list[Decision]:
        rows = await self.session.rows(
            DECISIONS + "WHERE decision.project = %s AND decision.incident_id = %s ORDER BY decision.at DESC, seq DESC",
            (self.project, incident_id),
        )
        return [to_decision(row) for row in rows]

    async def recent_decisions(self, since: int) -> list[Decision]:
        rows = await self.session.rows(
            DECISIONS + "WHERE decision.project = %s AND decision.at >= %s ORDER BY decision.at DESC, seq DESC",
            (self.project, since),
        )
        return [to_decision(row) for row in rows]

    async def add_action(self, action: Action) -> bool:
        added = await self.session.run(
            f"INSERT INTO actions (project, {ACTION}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (project, key) DO NOTHING",
            (self.project, action.key, action.incident_id, action.decision_id, action.kind.value, action.at,
             action.state, as_json(dump(action)["payload"])),
        )  # fmt: skip
        if added:
            self._touch(action.incident_id)
            if action.kind is ActionKind.NOTIFY and action.state in ("done", "digest"):
                await self.session.run(
                    "UPDATE incidents SET told = true WHERE project = %s AND id = %s AND NOT told",
                    (self.project, action.incident_id),
                )
        return added == 1

    async def actions(self, incident_id: str) -> list[Action]:
        rows = await self.session.rows(
            f"SELECT {ACTION} FROM actions WHERE project = %s AND incident_id = %s ORDER BY at, seq",
            (self.project, incident_id),
        )
        return [Action(**row) for row in rows]

    async def save_verification(self, verification: Verification) -> None:
        self._touch(verification.incident_id)
        outcome = verification.outcome.value if verification.outcome else None
        checks = as_json([check.model_dump() for check in verification.checks])
        saved = await self.session.run(
            f"INSERT INTO verifications (project, {VERIFICATION}) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (project, id) DO UPDATE SET started_at = excluded.started_at, quiet_ns = excluded.quiet_ns, "
            "quiet_since = excluded.quiet_since, query = excluded.query, checks = excluded.checks, "
            "outcome = excluded.outcome, ended_at = excluded.ended_at, why = excluded.why "
            "WHERE verifications.incident_id = excluded.incident_id",
            (self.project, verification.id, verification.incident_id, verification.started_at, verification.quiet_ns,
             verification.quiet_since, verification.query, checks,
             outcome, verification.ended_at, verification.why),
        )  # fmt: skip
        if not saved:
            raise StoreRefused(f"refused: verification {verification.id} belongs to another incident")
        if outcome is not None:
            # For statistics over many incidents, which would otherwise join and sort every verification.
            await self.session.run(
                "UPDATE incidents SET outcome = (SELECT outcome FROM verifications WHERE project = %s "
                "AND incident_id = %s AND outcome IS NOT NULL ORDER BY ended_at DESC, seq DESC LIMIT 1) "
                "WHERE project = %s AND id = %s",
                (self.project, verification.incident_id, self.project, verification.incident_id),
            )

    async def verifications(self, incident_id: str) -> list[Verification]:
        rows = await self.session.rows(
            f"SELECT {VERIFICATION} FROM verifications WHERE project = %s AND incident_id = %s "
            "ORDER BY started_at, seq",
            (self.project, incident_id),
        )
        return [to_verification(row) for row in rows]

    async def open_verifications(self) -> list[Verification]:
        rows = await self.session.rows(
            f"SELECT {VERIFICATION} FROM verifications WHERE project = %s AND outcome IS NULL ORDER BY started_at, seq",
            (self.project,),
        )
        return [to_verification(row) for row in rows]

    async def add_event(self, event: IncidentEvent) -> None:
        self._touch(event.incident_id)
        await self.session.run(
            f"INSERT INTO events (project, {EVENT}) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            (self.project, event.incident_id, event.at, event.kind, event.text, event.by,
             as_json(dump(event)["data"])),
        )  # fmt: skip

    async def events(self, incident_id: str) -> list[IncidentEvent]:
        rows = await self.session.rows(
            f"SELECT {EVENT} FROM events WHERE project = %s AND incident_id = %s ORDER BY at, seq",
            (self.project, incident_id),
        )
        return [IncidentEvent(**row) for row in rows]

    async def add_feedback(self, feedback: Feedback) -> None:
        self._touch(feedback.incident_id)
        await self.session.run(
            f"INSERT INTO feedback (project, {FEEDBACK}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (project, id) DO NOTHING",
            (self.project, feedback.id, feedback.incident_id, feedback.at, feedback.by, feedback.verdict,
             feedback.text, feedback.service, feedback.withdrawn_at, feedback.withdrawn_by),
        )  # fmt: skip

    async def feedback(self, incident_id: str) -> list[Feedback]:
        rows = await self.session.rows(
            f"SELECT {FEEDBACK} FROM feedback WHERE project = %s AND incident_id = %s ORDER BY at, seq",
            (self.project, incident_id),
        )
        return [Feedback(**row) for row in rows]

    async def withdraw_feedback(self, incident_id: str, feedback_id: str, by: str, at: int) -> bool:
        self._touch(incident_id)
        withdrawn = await self.session.run(
            "UPDATE feedback SET withdrawn_at = %s, withdrawn_by = %s WHERE project = %s AND incident_id = %s "
            "AND id = %s AND withdrawn_at IS NULL",
            (at, by, self.project, incident_id, feedback_id),
        )
        return withdrawn == 1

    async def past_incidents(self, incident: Incident) -> list[PastIncident]:
        return await past_incidents(self.session, incident)

    def _touch(self, incident_id: str) -> None:
        """Note it as changed. That it exists the foreign keys see to, with the write that follows."""
        self.changed[incident_id] = None
