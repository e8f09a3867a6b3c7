"""Example cases beside a policy: what it is given, and who ought to be told.

`policies/default.yaml` has its cases in `policies/default.cases.yaml`. Everything a case leaves out is ordinary: an
open incident of severity high in live mode, a sure analysis, nothing that happened before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from incidentlens.model import yamlfile
from incidentlens.model.analysis import Analysis
from incidentlens.model.base import Value
from incidentlens.model.clock import DAY, HOUR, MINUTE
from incidentlens.model.decisions import Decision, Deploy, Feedback, Maintenance
from incidentlens.model.incidents import Incident, Membership, Problem, ScoreParts, Suppression
from incidentlens.model.terms import ActionKind, Disposition, Level, Mode, ProblemKind, Severity, Status
from incidentlens.model.yamlfile import Document
from incidentlens.runbooks.model import ObserveThreshold, Runbook

from .decide import decide
from .history import History, RulerAlert, Told
from .model import Policy

NOW = 20_000 * DAY  # noon or midnight: nothing may depend on it
_PROJECT = "example"
Minutes = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class GivenAnalysis(Value):
    disposition: Disposition = Disposition.NEEDS_ONCALL
    severity: Severity | None = None  # the incident's
    confidence: float = Field(default=0.9, ge=0, le=1)
    source: str = Field(default="rules", pattern="^(rules|runbook|model)$")


class GivenIncident(Value):
    service: str = "orders"
    services: tuple[str, ...] = ()  # the others of it
    signature: str = "orders:ERROR:request_failed#0001"
    severity: Severity = Severity.HIGH
    status: Status = Status.OPEN
    count: int = Field(default=40, ge=1)
    began_minutes_ago: Minutes = 5
    reopened: int = Field(default=0, ge=0)
    held: str = ""  # held back as flapping, noise, deploy, grace, maintenance or learning


class GivenTold(Value):
    minutes_ago: Minutes
    disposition: Disposition = Disposition.NEEDS_ONCALL
    this_incident: bool = True  # or another one with the same signature
    episode: int | None = None  # this one


class GivenDeploy(Value):
    minutes_ago: Minutes
    service: str | None = None  # the incident's


class GivenMaintenance(Value):
    services: tuple[str, ...] = ()
    minutes_left: Minutes = 30


class GivenHistory(Value):
    told: tuple[GivenTold, ...] = ()
    told_others: int = Field(default=0, ge=0, le=500)  # so many notifications of other incidents just now
    deploys: tuple[GivenDeploy, ...] = ()
    maintenance: tuple[GivenMaintenance, ...] = ()
    called_noise_by: tuple[str, ...] = ()
    reopened_minutes_ago: tuple[Minutes, ...] = ()
    re_escalated: int = Field(default=0, ge=0)
    first_seen_minutes_ago: Minutes | None = None  # of the service, in a project watched for a year
    ruler_alert: str = ""  # the name of a rule of the team's own that fires


class GivenRunbook(Value):
    id: str = "a-runbook"
    disposition: Disposition = Disposition.NEEDS_DEV
    cooldown_minutes: Minutes = 15
    observe_threshold: ObserveThreshold | None = None


class Expected(Value):
    """What is left out is not looked at. `reason`: a code that must stand among the decision's reasons."""

    disposition: Disposition | None = None
    told: bool | None = None
    suppressed: bool | None = None
    severity: Severity | None = None
    digest: bool | None = None
    reason: str | None = None


class Example(Value):
    name: str = Field(min_length=3)
    mode: Mode = Mode.LIVE
    analysis: GivenAnalysis = GivenAnalysis()
    incident: GivenIncident = GivenIncident()
    history: GivenHistory = GivenHistory()
    runbook: GivenRunbook | None = None
    expect: Expected


class ExampleFile(Value):
    cases: tuple[Example, ...] = Field(min_length=1)


class Outcome(Value):
    """How a case came out; `wrong` is empty where it is as expected. `line` counts from 1."""

    policy: str
    file: str
    line: int
    name: str
    wrong: tuple[str, ...]
    reasons: tuple[str, ...]


def cases_beside(policy: Path) -> Path:
    """`default.yaml` → `default.cases.yaml`."""
    return policy.with_name(f"{policy.stem}.cases{policy.suffix}")


def load_examples(path: Path) -> tuple[tuple[Example, ...], Document]:
    """The cases and their lines. Raises YamlError."""
    document = yamlfile.read(path)
    return document.validate(ExampleFile).cases, document


def run_examples(policy: Policy, policy_name: str, cases: Sequence[Example], document: Document) -> list[Outcome]:
    """Every case decided under `policy`. Pure."""
    outcomes = []
    for number, case in enumerate(cases):
        decision = decide_example(policy, case)
        outcomes.append(
            Outcome(
                policy=policy_name,
                file=document.file,
                line=document.line(("cases", number)),
                name=case.name,
                wrong=tuple(_differences(case.expect, decision)),
                reasons=tuple(f"{reason.code}: {reason.text}" for reason in decision.reasons),
            )
        )
    return outcomes


def decide_example(policy: Policy, case: Example) -> Decision:
    """The decision on a case at NOW."""
    incident = _incident(case.incident)
    given = case.analysis
    analysis = Analysis(
        source=given.source,
        cause="an example",
        summary="an example",
        severity=given.severity or incident.severity,
        disposition=given.disposition,
        confidence=given.confidence,
    )
    policy = policy.model_copy(update={"mode": case.mode})
    return decide(analysis, incident, _history(case, incident), policy, NOW, _runbook(case.runbook))


def _differences(expected: Expected, decision: Decision) -> list[str]:
    got = {
        "disposition": decision.disposition,
        "told": decision.tell,
        "suppressed": ActionKind.SUPPRESS in decision.actions,
        "severity": decision.severity,
        "digest": bool(decision.inputs.get("digest")),
    }
    wrong = [
        f"{name} is {_said(found)}, expected {_said(wanted)}"
        for name, found in got.items()
        if (wanted := getattr(expected, name)) is not None and wanted != found
    ]
    codes = [reason.code for reason in decision.reasons]
    if expected.reason is not None and expected.reason not in codes:
        wrong.append(f"no reason {expected.reason}; there are {', '.join(codes)}")
    return wrong


def _said(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _incident(given: GivenIncident) -> Incident:
    onset = NOW - round(given.began_minutes_ago * MINUTE)
    problems = tuple(
        Problem(
            id=f"p_{number}", project=_PROJECT, service=service,
            signature=given.signature if number == 0 else f"{service}:ERROR:follows#{number:04d}", template="example",
            level=Level.ERROR, kind=ProblemKind.SPIKE, onset=onset + number, last_seen=NOW, count=given.count,
            baseline_per_minute=0.0, rate_per_minute=given.count / max(given.began_minutes_ago, 1), score=1.0,
            parts=ScoreParts(severity_weight=1, spike_ratio=1, criticality=1), why="example",
        )
        for number, service in enumerate((given.service, *given.services))
    )  # fmt: skip
    over = given.status in (Status.RESOLVED, Status.CLOSED, Status.IGNORED)
    return Incident(
        id="inc_example", project=_PROJECT, title="example", service=given.service, status=given.status,
        severity=given.severity, disposition=Disposition.OBSERVE, confidence=0.9, onset=onset, opened_at=onset,
        last_seen=NOW, updated_at=NOW, ended_at=NOW if over else None, count=given.count, reopened=given.reopened,
        problems=problems, members=tuple(Membership(problem_id=problem.id, why="example") for problem in problems),
        suppression=Suppression(reason=given.held, detail="example") if given.held else None,
    )  # fmt: skip


def _history(case: Example, incident: Incident) -> History:
    given = case.history
    told = [
        Told(
            incident_id=incident.id if one.this_incident else "inc_other",
            at=_ago(one.minutes_ago),
            mode=case.mode,
            disposition=one.disposition,
            episode=incident.reopened if one.episode is None else one.episode,
            signature=case.incident.signature,
        )
        for one in given.told
    ]
    told += [
        Told(incident_id=f"inc_o{n}", at=NOW - 1, mode=case.mode, disposition=Disposition.NEEDS_ONCALL, episode=0)
        for n in range(given.told_others)
    ]
    first = given.first_seen_minutes_ago
    return History(
        told=tuple(told),
        reopened_at=tuple(_ago(minutes) for minutes in given.reopened_minutes_ago),
        re_escalated=given.re_escalated,
        first_seen={} if first is None else {incident.service: _ago(first)},
        watched_since=None if first is None else NOW - 365 * DAY,
        maintenance=tuple(
            Maintenance(
                id=f"m{n}", project=_PROJECT, services=one.services, starts_at=NOW - HOUR,
                ends_at=NOW + round(one.minutes_left * MINUTE), reason="example",
            )
            for n, one in enumerate(given.maintenance)
        ),
        deploys=tuple(
            Deploy(id=f"d{n}", project=_PROJECT, service=one.service or incident.service, at=_ago(one.minutes_ago))
            for n, one in enumerate(given.deploys)
        ),
        ruler_alerts=(RulerAlert(name=given.ruler_alert, starts_at=incident.onset),) if given.ruler_alert else (),
        noise=tuple(
            Feedback(incident_id="inc_earlier", at=NOW - n - 1, by=by, verdict="noise")
            for n, by in enumerate(given.called_noise_by)
        ),
    )  # fmt: skip


def _ago(minutes: float) -> int:
    return NOW - round(minutes * MINUTE)


def _runbook(given: GivenRunbook | None) -> Runbook | None:
    if given is None:
        return None
    return Runbook(
        id=given.id,
        name=given.id,
        default_severity=Severity.MEDIUM,
        disposition=given.disposition,
        cooldown_minutes=given.cooldown_minutes,
        observe_threshold=given.observe_threshold,
    )
