"""Alerts that others send, and the alerts that are open here."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel

from incidentlens.api.auth import Principal, ProjectName, Reader, Serving, authenticate, require_editor
from incidentlens.api.errors import ApiError
from incidentlens.api.seams import Services
from incidentlens.config.loader import Loaded
from incidentlens.intake.alerts import AlertFormatError, read_alerts
from incidentlens.model.decisions import Alert
from incidentlens.pipeline.metrics import ALERTS

router = APIRouter(tags=["alerts"])

# What Loki calls its only tenant while authentication is off.
_NO_TENANT = "fake"
_FOREIGN = ""  # the metric's project label for alerts that are nobody's: no sender can make up labels
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "description": "Alertmanager's API form (a list of alerts), or the webhook form of Alertmanager "
                    "and Grafana (an object with `alerts`). Both are taken at both addresses.",
                    "oneOf": [
                        {"type": "array", "items": {"type": "object"}},
                        {"type": "object", "properties": {"alerts": {"type": "array", "items": {"type": "object"}}}},
                    ],
                }
            }
        },
    }
}


class Received(BaseModel):
    """`accepted`: taken, known ones too; `changed`: those that are new or changed state; `refused`: not ours."""

    accepted: int
    changed: int
    refused: int = 0


class OpenAlert(BaseModel):
    """One alert instance: an incident that wants notifying. Labels stay the same at one disposition."""

    incident_id: str
    project: str
    service: str
    severity: str
    disposition: str
    title: str
    runbook: str
    summary: str
    value: int = 1


@router.get("/api/open_alerts", response_model=list[OpenAlert], summary="Incidents that want notifying")
async def open_alerts(services: Serving, principal: Reader) -> list[OpenAlert]:
    """One row an incident; a row that goes away resolves its alert. Empty while the project is in shadow mode."""
    rows = []
    for action in await services.queries.open_notifications(principal.project.name):
        labels = action.payload.get("labels")
        kept = {str(name): str(value) for name, value in labels.items()} if isinstance(labels, dict) else {}
        rows.append(
            OpenAlert(
                incident_id=action.incident_id,
                project=principal.project.name,
                service=kept.get("service", ""),
                severity=kept.get("severity", ""),
                disposition=kept.get("disposition", ""),
                title=kept.get("title", ""),
                runbook=kept.get("runbook", ""),
                summary=kept.get("summary", ""),
            )
        )
    return rows


@router.post("/api/v2/alerts", response_model=Received, openapi_extra=_BODY, summary="Alerts of Loki's ruler")
@router.post("/alerts", response_model=Received, openapi_extra=_BODY, summary="Alerts of Alertmanager or Grafana")
async def receive(
    request: Request,
    services: Serving,
    x_scope_orgid: Annotated[str | None, Header(description="The Loki tenant, as Loki's ruler sends it.")] = None,
    project: ProjectName = None,
) -> Received:
    """Starts an investigation at once. The token decides the project; where none is required, the tenant in
    X-Scope-OrgID or the alert's label `project` does. An alert for a project that is not ours is refused with 404."""
    now = services.clock.now()
    principal = None
    if services.loaded.config.server.require_token or project:
        principal = authenticate(request, project)
        require_editor(principal)
    try:
        alerts = read_alerts(await request.body(), "", now)
    except AlertFormatError as error:
        raise ApiError(400, str(error)) from None
    ours: dict[str, list[Alert]] = {}
    refused: Counter[str] = Counter()
    for alert in alerts:
        found = _owner(services.loaded, principal, x_scope_orgid, alert)
        if isinstance(found, _Nobody):
            refused[found.why] += 1
        else:
            ours.setdefault(found, []).append(alert.model_copy(update={"project": found}))
    if refused:
        ALERTS.labels(_FOREIGN, "refused").inc(refused.total())
    if refused and not ours:
        raise ApiError(404, refused.most_common(1)[0][0])
    changed = 0
    for name, group in ours.items():
        changed += await _save(services, name, group, now)
    accepted = sum(len(group) for group in ours.values())
    return Received(accepted=accepted, changed=changed, refused=refused.total())


class _Nobody:
    """An alert that is for no project of ours."""

    def __init__(self, why: str) -> None:
        self.why = why


def _owner(loaded: Loaded, asker: Principal | None, tenant: str | None, alert: Alert) -> str | _Nobody:
    """`_project_of`, and where IncidentLens wrote the rule, the project that its label names must be the same one.

    Another sidecar may have written rules for a project of its own into the same tenant.
    """
    found = _project_of(loaded, asker, tenant, alert)
    label = alert.labels.get("project", "")
    if isinstance(found, str) and alert.ours and label != found:
        return _Nobody(f"the rule was written for project {label[:80]!r}, not for {found}")
    return found


def _project_of(loaded: Loaded, asker: Principal | None, tenant: str | None, alert: Alert) -> str | _Nobody:
    """The project an alert is for. A tenant that contradicts the token is refused: it is somebody else's alert."""
    label = alert.labels.get("project", "")
    if asker is not None:
        own = asker.project.config.tenant
        if tenant is not None and tenant not in (own, None if own else _NO_TENANT):
            return _Nobody(f"X-Scope-OrgID {tenant[:80]!r} is not the tenant of project {asker.project.name}")
        return asker.project.name
    if tenant is not None:
        fitting = [
            name
            for name, project in loaded.projects.items()
            if project.config.tenant == tenant or (project.config.tenant is None and tenant == _NO_TENANT)
        ]
        if not fitting:
            return _Nobody(f"no project reads the tenant {tenant[:80]!r}; correct X-Scope-OrgID or the configuration")
        if len(fitting) == 1:
            return fitting[0]
        if label in fitting:
            return label
        return _Nobody(f"several projects read that tenant ({', '.join(fitting)}); name one in the label `project`")
    if label:
        if label in loaded.projects:
            return label
        return _Nobody(f"there is no project {label[:80]!r}, which the label `project` names")
    if len(loaded.projects) == 1:
        return next(iter(loaded.projects))
    return _Nobody("say for which project: ?project=, X-Scope-OrgID, or the label `project`")


async def _save(services: Services, project: str, alerts: list[Alert], now: int) -> int:
    """Keep them; how many say something new. Those start a run at once, in the background."""
    changed = 0
    async with services.store.transaction(project) as tx:
        for alert in alerts:
            changed += await tx.save_alert(alert)
    ALERTS.labels(project, "changed").inc(changed)
    ALERTS.labels(project, "repeated").inc(len(alerts) - changed)
    if changed:
        services.pokes.poke(project)
    return changed
