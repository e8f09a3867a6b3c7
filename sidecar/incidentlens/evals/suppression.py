"""`incidentlens eval suppression`: is somebody told of what matters, and nobody of what does not, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from incidentlens.model.base import Value
from incidentlens.model.terms import Severity, Status

from .cases import ZERO, Case, Offset, load_cases
from .episodes import Episode, replayed
from .intervals import share
from .section import Context, Failure, Figure, Section, Table

# Reasons that hold back on purpose; what was only found mild, or not found, was not suppressed with confidence.
_ON_PURPOSE = frozenset(
    {"maintenance", "deploy", "grace", "noise", "learning", "learn", "suppress", "flapping", "cooldown", "min_count"}
)

_TEXT = """
Cases by hand, played through the code of `incidentlens replay` with the default policy in mode `live` and what the case
changes of it. *Suppressed* is what nobody is told of; right is what nobody ought to be told of. A real fault that is
suppressed is the worst error, and confident where it was held back on purpose (maintenance, deploy, grace, noise, …)
rather than found mild. The peer tells whenever an incident has severity high or more.
"""


class Fault(Value):
    """One thing that goes on in a case, known by service and words of its lines; only what comes `after` counts.

    `reason`: a code that must stand among the reasons of its decisions, or hold its problem back. `most`: it may be
    told so many times.
    """

    service: str
    says: str
    told: bool
    reason: str = ""
    most: int | None = None
    after: Offset | None = None


class SuppressionExpected(Value):
    faults: tuple[Fault, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one fault."""

    case: Case[SuppressionExpected]
    fault: Fault
    times: int  # so often somebody was told
    reasons: frozenset[str]
    high: bool  # the peer would have told

    @property
    def told(self) -> bool:
        return self.times > 0

    @property
    def too_often(self) -> bool:
        return self.fault.most is not None and self.times > self.fault.most

    @property
    def reasoned(self) -> bool:
        return not self.fault.reason or self.fault.reason in self.reasons

    @property
    def confident_wrong(self) -> bool:
        return self.fault.told and not self.told and bool(self.reasons & _ON_PURPOSE)

    @property
    def right(self) -> bool:
        return self.told == self.fault.told and not self.too_often and self.reasoned


def evaluate(context: Context) -> Section:
    """Every case under `evals/suppression/`."""
    verdicts = [one for case in load_cases(context.cases / "suppression", SuppressionExpected) for one in judge(case)]
    limited = [one for one in verdicts if one.fault.most is not None]
    figures = [
        share("right", "told or not, often enough, for the reason", _count(verdicts, "right"), len(verdicts)),
        *_figures(verdicts, lambda one: one.told),
        share(
            "confident_wrong",
            "real faults held back on purpose",
            _count(verdicts, "confident_wrong"),
            sum(one.fault.told for one in verdicts),
            better="lower",
        ),
        share("too_often", "told too often", _count(limited, "too_often"), len(limited), better="lower"),
        *_figures(verdicts, lambda one: one.high, "severity_", "told whenever severity is high or more"),
    ]  # fmt: skip
    failures = [_failure(one) for one in verdicts if not one.right]
    text = _TEXT + f"\n{len({one.case.id for one in verdicts})} cases with {len(verdicts)} faults or non-faults."
    return Section("suppression", "Told or held back", text, figures, [_families(verdicts)], failures)


def judge(case: Case[SuppressionExpected]) -> list[Verdict]:
    """Replay a case and look what became of each of its faults."""
    found = replayed(case)
    return [verdict(case, fault, found) for fault in case.expect.faults]


def verdict(case: Case[Any], fault: Fault, found: Sequence[Episode]) -> Verdict:
    """Out of the incidents that have a problem of the fault."""
    after = 0 if fault.after is None else ZERO + fault.after
    times, reasons, high = 0, set[str](), False
    for episode in found:
        problems = [one for one in episode.problems_of(fault.service, fault.says) if one.last_seen >= after]
        if not problems:
            continue
        decisions = [decision for decision in episode.decisions if decision.at >= after]
        times += sum(decision.tell for decision in decisions)
        reasons |= {reason.code for decision in decisions for reason in decision.reasons}
        held = [problem.suppressed for problem in problems] + [episode.incident.suppression]
        reasons |= {suppression.reason for suppression in held if suppression}
        if episode.incident.status is Status.SUPPRESSED:
            reasons.add("suppress")
        high |= any(severity.rank >= Severity.HIGH.rank for severity in (decision.severity for decision in decisions))
    return Verdict(case, fault, times, frozenset(reasons), high)


def _figures(
    verdicts: Sequence[Verdict], told: Callable[[Verdict], bool], key: str = "", peer: str = ""
) -> list[Figure]:
    silent = [one for one in verdicts if not told(one)]
    idle = [one for one in verdicts if not one.fault.told]
    real = [one for one in verdicts if one.fault.told]
    rightly = sum(not one.fault.told for one in silent)
    return [
        share(f"{key}precision", "suppressed and rightly so", rightly, len(silent), peer=peer),
        share(f"{key}recall", "of what nobody ought to hear, suppressed", rightly, len(idle), peer=peer),
        share(
            f"{key}hidden",
            "real faults of which nobody was told",
            sum(not told(one) for one in real),
            len(real),
            better="lower",
            peer=peer,
        ),
    ]


def _count(verdicts: Sequence[Verdict], name: str) -> int:
    return sum(bool(getattr(one, name)) for one in verdicts)


def _failure(one: Verdict) -> Failure:
    fault = one.fault
    wanted = "told" if fault.told else "not told"
    wanted += f" {fault.most} times at most" if fault.most is not None else ""
    wanted += f", reason {fault.reason}" if fault.reason else ""
    got = f"told {one.times} times; {', '.join(sorted(one.reasons)) or 'no incident'}"
    return Failure(f"{one.case.id} {one.case.inputs.name} ({fault.service})", wanted, got, one.confident_wrong)


def _families(verdicts: Sequence[Verdict]) -> Table:
    rows: list[list[str | float | int | None]] = []
    for family in dict.fromkeys(one.case.inputs.family for one in verdicts):
        own = [one for one in verdicts if one.case.inputs.family == family]
        hidden = sum(one.fault.told and not one.told for one in own)
        needless = sum(one.told and not one.fault.told for one in own)
        rows.append([family.replace("_", " "), len(own), _count(own, "right"), hidden, needless])
    return Table("By family", ["family", "faults", "right", "real and hidden", "told needlessly"], rows)
