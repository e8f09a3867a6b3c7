"""Incidents with all that hangs on them, put into a store for the tests of the API and the pages."""

from __future__ import annotations

from typing import Any

from builders import (
    T0,
    make_action,
    make_analysis,
    make_decision,
    make_event,
    make_evidence,
    make_incident,
    make_problem,
    make_sample,
    make_template,
    make_verification,
)
from incidentlens.model.analysis import Claim, Finding, RunbookMatch
from incidentlens.model.clock import SECOND
from incidentlens.model.decisions import Check
from incidentlens.model.incidents import ChainStep, Incident, RootCause, ServiceScore
from incidentlens.model.terms import Severity
from incidentlens.store.base import Store

POOL = "db:ERROR:connection_pool_exhausted#0001"
PAY = "payment:ERROR:payment_timeout#0002"


def two_problems(project: str = "shop") -> tuple[Any, ...]:
    return (
        make_problem(1, project=project, signature=POOL),
        make_problem(
            2,
            project=project,
            service="payment",
            signature=PAY,
            template="payment timed out after <*> ms",
            onset=T0 + 4 * SECOND,
            samples=(make_sample(3, service="payment", line="ERROR payment timed out after 5000 ms"),),
        ),
    )


def a_cause() -> RootCause:
    steps = (
        ChainStep(
            service="db", signature=POOL, template="connection pool exhausted (<*>)", onset=T0, role="cause",
            because="the first to fail", evidence=("r_0000000000000001",),
        ),
        ChainStep(
            service="payment", signature=PAY, template="payment timed out after <*> ms", onset=T0 + 4 * SECOND,
            role="symptom", because="names db 12 times", evidence=("r_0000000000000003", "r_gone"),
        ),
    )  # fmt: skip
    ranking = (ServiceScore(service="db", score=2.5), ServiceScore(service="payment", score=0.4))
    return RootCause(
        service="db", signature=POOL, summary="The pool of db ran out", confidence=0.9, chain=steps, ranking=ranking
    )


async def put(store: Store, incident_id: str = "i1", project: str = "shop", **changes: Any) -> Incident:
    """An incident that was found, analysed, decided, told and is being watched."""
    values = {"problems": two_problems(project), "root_cause": a_cause(), "runbook": "db-pool-exhausted", **changes}
    incident = make_incident(incident_id, project=project, **values)
    decision, key = f"d-{incident_id}", f"notify:{incident_id}"
    labels = {
        "incident_id": incident_id, "project": project, "service": "db", "severity": "high",
        "disposition": "NEEDS_ONCALL", "title": incident.title, "runbook": "db-pool-exhausted", "summary": "no pool",
    }  # fmt: skip
    analysis = make_analysis(
        claims=(Claim(text="The pool of db is used up", evidence=("r_0000000000000001",)),),
        findings=(
            Finding(
                rule="dependency_cascade", severity=Severity.HIGH, confidence=0.8, text="db takes payment with it",
                evidence=("r_0000000000000001",),
            ),
        ),
        runbooks=(
            RunbookMatch(
                runbook_id="db-pool-exhausted", name="Database connection pool exhausted", score=0.94,
                reasons=("its pattern matches",), steps=("Look at `pg_stat_activity`", "Restart <nothing>"),
            ),
        ),
    )  # fmt: skip
    watch = make_verification(
        f"v-{incident_id}", incident_id, checks=(Check(at=T0 + 60 * SECOND, count=12, note="12 records in 47 s"),)
    )
    async with store.transaction(project) as tx:
        await tx.save_templates([make_template(POOL), make_template(PAY, template="payment timed out after <*> ms")])
        await tx.save_incident(incident)
        await tx.save_evidence(
            incident_id,
            [make_evidence(1), make_evidence(3, service="payment", text="ERROR payment timed out after 5000 ms")],
        )
        await tx.save_analysis(incident_id, T0 + 10 * SECOND, analysis)
        await tx.add_decision(make_decision(decision, incident_id))
        payload = {"disposition": "NEEDS_ONCALL", "labels": labels, "text": "NEEDS_ONCALL: the pool of db ran out"}
        await tx.add_action(make_action(key, incident_id, decision_id=decision, payload=payload))
        await tx.save_verification(watch)
        for kind in ("opened", "decided"):
            await tx.add_event(make_event(kind, incident_id))
        await tx.service_first_seen({"db": T0, "payment": T0})
    return incident
