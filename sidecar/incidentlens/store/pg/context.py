"""What is known from outside (deploys, maintenance, alerts), and the outbox's writing end."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from typing import Any

from incidentlens.model.decisions import Alert, Deploy, Maintenance
from incidentlens.store.alerts import changed_state

from .session import Session, as_json

DEPLOY = "id, service, at, version, text, planned_until"
MAINTENANCE = "id, services, starts_at, ends_at, reason, by, kinds"
ALERT = "fingerprint, name, starts_at, ends_at, labels, annotations, generator_url, query"


class ContextPart:
    """The methods of `base.Transaction` over these tables."""

    project: str
    session: Session

    async def deploys(self, since: int) -> list[Deploy]:
        rows = await self.session.rows(
            f"SELECT project, {DEPLOY} FROM deploys WHERE project = %s AND at >= %s "
            'ORDER BY at DESC, id COLLATE "C" DESC',
            (self.project, since),
        )
        return [Deploy(**row) for row in rows]

    async def add_deploy(self, deploy: Deploy) -> None:
        await self.session.run(
            f"INSERT INTO deploys (project, {DEPLOY}) VALUES (%s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (project, id) DO UPDATE SET service = excluded.service, at = excluded.at, "
            "version = excluded.version, text = excluded.text, planned_until = excluded.planned_until",
            (self.project, deploy.id, deploy.service, deploy.at, deploy.version, deploy.text, deploy.planned_until),
        )

    async def maintenance(self, at: int) -> list[Maintenance]:
        rows = await self.session.rows(
            f"SELECT project, {MAINTENANCE} FROM maintenance WHERE project = %s AND starts_at <= %s AND ends_at > %s "
            'ORDER BY starts_at, id COLLATE "C"',
            (self.project, at, at),
        )
        return [Maintenance(**row) for row in rows]

    async def add_maintenance(self, window: Maintenance) -> None:
        await self.session.run(
            f"INSERT INTO maintenance (project, {MAINTENANCE}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (project, id) DO UPDATE SET services = excluded.services, starts_at = excluded.starts_at, "
            "ends_at = excluded.ends_at, reason = excluded.reason, by = excluded.by, "
            "kinds = excluded.kinds",
            (self.project, window.id, list(window.services), window.starts_at, window.ends_at, window.reason,
             window.by, [kind.value for kind in window.kinds]),
        )  # fmt: skip

    async def delete_maintenance(self, window_id: str) -> bool:
        removed = await self.session.run(
            "DELETE FROM maintenance WHERE project = %s AND id = %s", (self.project, window_id)
        )
        return removed == 1

    async def save_alert(self, alert: Alert) -> bool:
        row = await self.session.row(
            f"SELECT project, {ALERT} FROM alerts WHERE project = %s AND fingerprint = %s",
            (self.project, alert.fingerprint),
        )
        await self.session.run(
            f"INSERT INTO alerts (project, {ALERT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (project, fingerprint) DO UPDATE SET name = excluded.name, starts_at = excluded.starts_at, "
            "ends_at = excluded.ends_at, labels = excluded.labels, annotations = excluded.annotations, "
            "generator_url = excluded.generator_url, query = excluded.query",
            (self.project, alert.fingerprint, alert.name, alert.starts_at, alert.ends_at, as_json(alert.labels),
             as_json(alert.annotations), alert.generator_url, alert.query),
        )  # fmt: skip
        return changed_state(None if row is None else Alert(**row), alert)

    async def active_alerts(self, at: int) -> list[Alert]:
        rows = await self.session.rows(
            f"SELECT project, {ALERT} FROM alerts WHERE project = %s AND starts_at <= %s "
            'AND (ends_at IS NULL OR ends_at > %s) ORDER BY starts_at, fingerprint COLLATE "C"',
            (self.project, at, at),
        )
        return [Alert(**row) for row in rows]

    async def enqueue(self, target: str, key: str, payload: dict[str, Any], at: int) -> None:
        await self.session.run(
            "INSERT INTO outbox (project, target, key, payload, created_at, next_attempt_at) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (project, target, key) DO NOTHING",
            (self.project, target, key, as_json(payload), at, at),
        )
