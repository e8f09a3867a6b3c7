"""One look of the verifier, and what a quiet stretch means where the signature also has its everyday share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Verification
from incidentlens.model.incidents import Incident
from incidentlens.model.signatures import SignatureCount
from incidentlens.model.terms import ProblemKind
from incidentlens.policy.model import Policy
from incidentlens.verification import watch


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
        keys = {(problem.service, problem.signature) for problem in incident.problems}
        count: int | None = sum(found.count for found in counts if (found.service, found.signature) in keys)
    elif verification.id in watched:
        count = watched[verification.id]
    else:
        return None
    since = verification.checks[-1].at if verification.checks else verification.started_at
    count = above_usual(incident, count, now - since)
    # An alert that goes on firing is no quiet, whatever the lines say; it is told once a tick.
    if count is not None and any(p.kind is ProblemKind.ALERT and p.last_seen >= now for p in incident.problems):
        count = max(count, 1)
    return watch(verification, count, now, incident, policy)


def above_usual(incident: Incident, count: int | None, span: int) -> int | None:
    """What of `count` in `span` ns is more than the signatures' everyday share; None stays None.

    Three standard deviations of a Poisson count above the usual still are the usual: a shop's everyday time-outs must
    not keep an incident open for ever.
    """
    if not count:
        return count
    usual = sum(problem.baseline_per_minute for problem in incident.problems) * max(span, 0) / MINUTE
    if usual <= 0:
        return count
    return 0 if count <= usual + 3 * math.sqrt(usual) + 1 else count
