"""The states that cannot be, as the memory store sees them: the same that PostgreSQL's constraints forbid."""

from __future__ import annotations

from incidentlens.model.decisions import Action, Feedback, Maintenance, Verification
from incidentlens.model.incidents import Incident, Problem
from incidentlens.model.signatures import Template
from incidentlens.model.terms import Status

from .base import StoreRefused

OVER = frozenset((Status.RESOLVED, Status.CLOSED, Status.IGNORED))
ACTION_STATES = frozenset(("done", "shadow", "digest", "failed"))
VERDICTS = frozenset(("right_cause", "wrong_cause", "noise", "helped", "not_helped", "note"))


def refuse_unless(holds: bool, what: str) -> None:
    """StoreRefused with `what` unless `holds`."""
    if not holds:
        raise StoreRefused(f"refused: {what}")


def check_ids(incident: Incident) -> None:
    """What neither store could tell from the rows alone: that ids are distinct, and belong together."""
    problems = {problem.id for problem in incident.problems}
    refuse_unless(len(problems) == len(incident.problems), f"incident {incident.id} holds one problem twice")
    refuse_unless(
        all(problem.project == incident.project for problem in incident.problems),
        f"incident {incident.id} holds a problem of another project",
    )


def check_incident(incident: Incident) -> None:
    """Ended exactly when over; counts not negative; every membership about a problem that is there."""
    check_ids(incident)
    refuse_unless(incident.id != "", "an incident without an id")
    over = incident.status in OVER
    refuse_unless(
        over == (incident.ended_at is not None),
        f"incident {incident.id} is {incident.status} and its ended_at is {incident.ended_at}",
    )
    counts = (incident.count, incident.analysed_count, incident.reopened)
    refuse_unless(min(counts) >= 0, f"incident {incident.id} has a negative count")
    problems = {problem.id for problem in incident.problems}
    refuse_unless(
        all(member.problem_id in problems for member in incident.members),
        f"incident {incident.id} gives a reason for a problem it does not hold",
    )
    for problem in incident.problems:
        check_problem(problem)


def check_problem(problem: Problem) -> None:
    refuse_unless(problem.id != "", "a problem without an id")
    refuse_unless(problem.count >= 0, f"problem {problem.id} has a negative count")


def check_template(template: Template) -> None:
    refuse_unless(template.signature != "", "a template without a signature")
    refuse_unless(template.count >= 0, f"template {template.signature} has a negative count")
    refuse_unless(template.alias_of != template.signature, f"template {template.signature} leads to itself")


def check_action(action: Action) -> None:
    refuse_unless(action.key != "", "an action without a key")
    refuse_unless(action.state in ACTION_STATES, f"action {action.key} is in the unknown state {action.state!r}")


def check_verification(verification: Verification) -> None:
    refuse_unless(verification.id != "", "a verification without an id")
    refuse_unless(verification.quiet_ns >= 0, f"verification {verification.id} has a negative quiet time")
    refuse_unless(
        (verification.outcome is None) == (verification.ended_at is None),
        f"verification {verification.id} has an outcome without an end, or an end without an outcome",
    )


def check_feedback(feedback: Feedback) -> None:
    refuse_unless(feedback.verdict in VERDICTS, f"unknown verdict {feedback.verdict!r}; one of {sorted(VERDICTS)}")


def check_maintenance(window: Maintenance) -> None:
    refuse_unless(window.id != "", "a maintenance window without an id")
    refuse_unless(window.ends_at >= window.starts_at, f"maintenance window {window.id} ends before it starts")
