"""What a language model was asked about: wishes, leases, and what they came to."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from incidentlens.model.investigations import Investigation, Spending

from .incidents import upsert
from .session import Session, as_json

COLUMNS = (
    "id",
    "incident_id",
    "signature",
    "state",
    "wanted_at",
    "updated_at",
    "leased_until",
    "attempts",
    "digest",
    "prompt_version",
    "why",
    "model",
    "calls",
    "tokens",
    "cost",
    "run",
)
SELECT = f"SELECT {', '.join(COLUMNS)} FROM investigations WHERE project = %s"
INVESTIGATION = ", ".join(column for column in COLUMNS if column != "run")
SAVE = upsert("investigations", ("project", "id"), COLUMNS)


class InvestigationsPart:
    """The methods of `base.Transaction` over this table."""

    project: str
    session: Session
    changed: dict[str, None]

    async def want_investigation(self, wanted: Investigation) -> None:
        self._touch(wanted.incident_id)
        columns = ("project", *COLUMNS)
        await self.session.run(
            f"INSERT INTO investigations ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "
            "ON CONFLICT DO NOTHING",
            (self.project, *_values(wanted)),
        )

    async def save_investigation(self, investigation: Investigation) -> None:
        self._touch(investigation.incident_id)
        values = dict(zip(COLUMNS, _values(investigation), strict=True))
        rest = [values[column] for column in COLUMNS if column != "id"]
        await self.session.run(SAVE, (self.project, investigation.id, *rest))

    async def due_investigations(self, at: int, limit: int) -> list[Investigation]:
        rows = await self.session.rows(
            f"{SELECT} AND state IN ('wanted', 'running') AND (leased_until IS NULL OR leased_until <= %s) "
            'ORDER BY wanted_at, id COLLATE "C" LIMIT %s',
            (self.project, at, limit),
        )
        return [Investigation(**row) for row in rows]

    async def investigations(self, incident_id: str) -> list[Investigation]:
        rows = await self.session.rows(
            f'{SELECT} AND incident_id = %s ORDER BY wanted_at DESC, id COLLATE "C" DESC LIMIT 50',
            (self.project, incident_id),
        )
        return [Investigation(**row) for row in rows]

    async def answered_investigation(self, digest: str, prompt_version: str) -> Investigation | None:
        row = await self.session.row(
            f"{SELECT} AND state = 'done' AND digest = %s AND prompt_version = %s ORDER BY updated_at DESC LIMIT 1",
            (self.project, digest, prompt_version),
        )
        return None if row is None else Investigation(**row)

    async def last_asked(self, signature: str, since: int) -> Investigation | None:
        row = await self.session.row(
            f"{SELECT} AND signature = %s AND calls > 0 AND updated_at >= %s ORDER BY updated_at DESC LIMIT 1",
            (self.project, signature, since),
        )
        return None if row is None else Investigation(**row)

    async def spending(self, since: int) -> Spending:
        row = await self.session.row(
            "SELECT coalesce(sum(calls), 0)::bigint AS calls, coalesce(sum(tokens), 0)::bigint AS tokens, "
            "coalesce(sum(cost), 0)::double precision AS cost FROM investigations "
            "WHERE project = %s AND calls > 0 AND updated_at >= %s",
            (self.project, since),
        )
        return Spending(**(row or {"calls": 0, "tokens": 0, "cost": 0.0}))

    def _touch(self, incident_id: str) -> None:
        self.changed[incident_id] = None


def _values(investigation: Investigation) -> list[object]:
    values = investigation.model_dump(mode="json")
    values["run"] = as_json(values["run"])
    return [values[column] for column in COLUMNS]
