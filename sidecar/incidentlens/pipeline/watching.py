"""One look of the verifier, and what a quiet stretch means where the signature also has its everyday share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from incidentlens.detection.statistics import poisson_tail
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import ProblemKind
from incidentlens.policy.model import Policy
from incidentlens.verification import UNCOUNTED, quiet_so_far, watch

_CHANCE = 1e-3


def look(
    verification: Verification,
    incident: Incident,
    counts: Sequence[SignatureCount],
    watched: Mapping[str, int | None] | None,
    now: int,
    policy: Policy,
) -> Verification | None:
    """The verification after a look at `now` (ns), or None where there was none to take.

    `watched` has what Loki counted since the last look (None: it did not answer). Without it, and where the
    verification has no query to ask with, the tick's own `counts` serve.
    """
    if watched is None or not verification.query:
        keys = {(problem.service, problem.signature) for problem in incident.problems if problem.kind not in UNCOUNTED}
        count: int | None = sum(found.count for found in counts if (found.service, found.signature) in keys)
    elif verification.id in watched:
        count = watched[verification.id]
    else:
        return None
    since = verification.checks[-1].at if verification.checks else verification.started_at
    usual = 0
    if count and not above_usual(incident, count, now - since):
        began, before = quiet_so_far(verification)
        if not above_usual(incident, count + before, now - began):
            count, usual = 0, count
    began, _ = quiet_so_far(verification)
    if count is not None and any(p.kind in UNCOUNTED and p.last_seen > began for p in incident.problems):
        count = max(count, 1)
    # An alert that goes on firing is no quiet, whatever the lines say; it is told once a tick.
    if count is not None and any(p.kind is ProblemKind.ALERT and p.last_seen >= now for p in incident.problems):
        count = max(count, 1)
    return watch(verification, count, now, incident, policy, usual)


def above_usual(incident: Incident, count: int, span: int) -> bool:
    """True where `count` in `span` ns is more than the signatures' everyday share: a shop's everyday time-outs must
    not keep an incident open for ever.

    The usual is a Poisson count, whose chance may be one in a thousand. A signature that never came before has no
    everyday share, and one record of it is one too many.
    """
    rate = sum(problem.baseline_per_minute for problem in incident.problems if problem.kind is not ProblemKind.NEW)
    return poisson_tail(count, rate * max(span, 0) / MINUTE) < _CHANCE
