"""`incidentlens eval verifier`: is it called over when it is over, and not before.

An end is judged by when the fault really was over. Too early is the worse error: people go back to bed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from incidentlens.model.base import Value
from incidentlens.model.clock import MINUTE, SECOND
from incidentlens.model.decisions import Verification
from incidentlens.model.terms import Outcome

from .cases import ZERO, Case, Offset, load_cases
from .episodes import Episode, ticked
from .intervals import share
from .scenario_runs import Run, runs
from .section import Context, Failure, Figure, Section, Table

_SEEDS, _SEEDS_QUICK = (1, 2, 3), (1,)
_FAILING = r"^(?:ERROR|FATAL) "

_TEXT = """
Cases by hand: what the records do after an incident was found, played through the sidecar's ticks on a clock of its
own with the default policy. *Agrees*: the first watch that ended has the expected outcome, and none ended as resolved
before the fault was over. *In time*: resolved by the time the case gives. The peer calls it resolved at the first
minute without a failing line of the service. The scenarios' own truth says when the fault ended.
"""


class VerifierExpected(Value):
    """`outcome` of the first watch that ends, on the incident that has `says` in `service`. `over`: when the fault
    really ended; `by`: resolved no later."""

    service: str
    says: str = ""
    outcome: Outcome
    over: Offset
    by: Offset


@dataclass(frozen=True, slots=True)
class Ending:
    """How one case ended; times in ns after 0s, None: not."""

    outcome: Outcome | None
    first_resolved: int | None
    last_resolved: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Graded:
    """`confident`: it was called over, which is always said with confidence, and was not."""

    case: Case[VerifierExpected]
    ending: Ending

    @property
    def too_early(self) -> bool:
        return self.ending.first_resolved is not None and self.ending.first_resolved < self.case.expect.over

    @property
    def in_time(self) -> bool:
        return self.ending.last_resolved is not None and self.ending.last_resolved <= self.case.expect.by

    @property
    def agrees(self) -> bool:
        return self.ending.outcome is self.case.expect.outcome and not self.too_early


def evaluate(context: Context) -> Section:
    """Every case under `evals/verifier/`, and the scenarios over several seeds."""
    cases = load_cases(context.cases / "verifier", VerifierExpected)
    graded = [Graded(case, play(case)) for case in cases]
    peer = [Graded(case, first_quiet_minute(case)) for case in cases]
    played = runs(_SEEDS_QUICK if context.quick else _SEEDS)
    agreed = sum(scenario_agrees(run) for run in played)
    figures = [
        *_figures(graded),
        *_figures(peer, "minute_", "resolved at the first quiet minute"),
        share("scenarios", "scenarios: ended as they really did, and not before", agreed, len(played)),
        share(
            "scenarios_too_early",
            "scenarios: called over while the fault went on",
            sum(_too_early(run) for run in played),
            len(played),
            better="lower",
        ),
    ]
    failures = [_failure(one) for one in graded if not one.agrees or not one.in_time]
    failures += [
        Failure(f"{run.name}, seed {run.seed}", "resolved, after the fault", _ends(run.found))
        for run in played
        if not scenario_agrees(run)
    ]
    return Section("verifier", "Is it over", _TEXT, figures, [_families(graded)], failures)


def play(case: Case[VerifierExpected]) -> Ending:
    """Tick through a case up to its `by`."""
    expected = case.expect
    found = ticked(case, expected.by)
    ended = _ended([one for one in found if one.problems_of(expected.service, expected.says)])
    resolved = [_end(watch) - ZERO for watch in ended if watch.outcome is Outcome.RESOLVED]
    first = ended[0] if ended else None
    return Ending(
        first.outcome if first else None,
        min(resolved, default=None),
        max(resolved, default=None),
        first.why if first else "no watch came to an end" if found else "no incident",
    )


def first_quiet_minute(case: Case[Any]) -> Ending:
    """The peer: from the first failing line of the service, over at the end of the first minute that has none."""
    failing = (pl.col("service") == case.expect.service) & pl.col("line").str.contains(_FAILING)
    arrived = case.records.with_columns(case.marks["arrives"]).filter(failing)["arrives"].sort().to_list()
    at = min(arrived, default=ZERO)
    until = ZERO + case.expect.by
    while at < until:
        at += MINUTE
        if not any(at - MINUTE <= one < at for one in arrived):
            return Ending(Outcome.RESOLVED, at - ZERO, at - ZERO)
    return Ending(Outcome.STILL_FIRING, None, None)


def scenario_agrees(run: Run) -> bool:
    """One told incident or more, each ended as the truth says and after the fault."""
    told = [one for one in run.found if one.told]
    ends = [_ended([one]) for one in told]
    return (
        bool(told)
        and all(ended and ended[-1].outcome == run.truth["outcome"] for ended in ends)
        and not _too_early(run)
    )


def _too_early(run: Run) -> bool:
    over = run.truth["fault"]["end"]
    return any(
        watch.outcome is Outcome.RESOLVED and _end(watch) < over
        for watch in _ended([one for one in run.found if one.told])
    )


def _ended(found: Sequence[Episode]) -> list[Verification]:
    watches = [watch for one in found for watch in one.verifications if watch.outcome is not None]
    return sorted(watches, key=_end)


def _end(watch: Verification) -> int:
    return watch.ended_at if watch.ended_at is not None else watch.started_at


def _figures(graded: Sequence[Graded], key: str = "", peer: str = "") -> list[Figure]:
    n = len(graded)
    return [
        share(f"{key}agrees", "agrees with the expected outcome", sum(one.agrees for one in graded), n, peer=peer),
        share(
            f"{key}too_early",
            "called over too early (each with confidence)",
            sum(one.too_early for one in graded),
            n,
            better="lower",
            peer=peer,
        ),
        share(f"{key}in_time", "resolved in time", sum(one.in_time for one in graded), n, peer=peer),
    ]


def _failure(one: Graded) -> Failure:
    expected, ending = one.case.expect, one.ending
    wanted = f"{expected.outcome}; over at {_minutes(expected.over)}, resolved by {_minutes(expected.by)}"
    got = f"{ending.outcome or 'none'}; resolved first at {_minutes(ending.first_resolved)}"
    got += f", last at {_minutes(ending.last_resolved)}: {ending.why}"
    return Failure(f"{one.case.id} {one.case.inputs.name}", wanted, got, one.too_early)


def _minutes(at: int | None) -> str:
    return "never" if at is None else f"{at / MINUTE:.1f} min"


def _ends(found: Sequence[Episode]) -> str:
    told = [one for one in found if one.told]
    ends = [f"{watch.outcome} {(_end(watch) - one.incident.onset) / SECOND:.0f} s after onset"
            for one in told for watch in one.verifications]  # fmt: skip
    return "; ".join(ends) or "nobody was told"


def _families(graded: Sequence[Graded]) -> Table:
    rows: list[list[str | float | int | None]] = []
    for family in dict.fromkeys(one.case.inputs.family for one in graded):
        own = [one for one in graded if one.case.inputs.family == family]
        agrees, early, timely = (
            sum(bool(getattr(one, name)) for one in own) for name in ("agrees", "too_early", "in_time")
        )
        rows.append([family.replace("_", " "), len(own), agrees, early, timely])
    return Table("By family", ["family", "cases", "agree", "too early", "in time"], rows)
