"""`incidentlens eval clustering`: is what belongs together one incident, and what does not, another one.

What is compared are the parts of a case (one entry's line of one service). Two parts are joined where their failing
lines are problems of one incident; that is right where the case gives both the same `incident`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import polars as pl
from pydantic import Field

from incidentlens.model.base import Value
from incidentlens.model.clock import MINUTE
from incidentlens.model.incidents import Problem

from .cases import Case, load_cases
from .episodes import Episode, problems_of, replayed
from .intervals import bootstrap, share
from .section import Better, Context, Failure, Figure, Section, Table

_NEAR = 2 * MINUTE
_COOLDOWN = 15 * MINUTE
_FAILING = ("ERROR ", "FATAL ", "WARN ")

_TEXT = """
Cases by hand, played through the code of `incidentlens replay` with the default policy. A *join* is a pair of parts of
a case that became one incident. Two that have nothing to do with each other (or a fault and everyday noise) joined is
a *wrong merge*, the worse error: the second fault is hidden. *Pieces* are incidents a true incident; 1 is right. Both
peers group the very problems that detection found: all within two minutes of one another as one incident; one
incident a signature and service.
"""


class ClusteringExpected(Value):
    """`incidents`: how many there are, which must be the number of names its entries give; 0: nobody may be told."""

    incidents: int = Field(ge=0)
    reopened: int | None = None  # how often the first of them came back


@dataclass(frozen=True, slots=True)
class Joins:
    """Pairs of parts: joined rightly, joined wrongly, left apart wrongly; and the pieces of each true incident."""

    right: int
    wrong: int
    missing: int
    pieces: tuple[int, ...]

    @property
    def whole(self) -> bool:
        return not self.wrong and not self.missing and all(count == 1 for count in self.pieces)


@dataclass(frozen=True, slots=True)
class Played:
    """One case. `homes`: how each method names the incident of a part; None: not found at all."""

    case: Case[ClusteringExpected]
    joins: Mapping[str, Joins]
    told: int
    reopened: int
    confident: bool  # a wrong merge whose cause was named with confidence
    got: str

    @property
    def right(self) -> bool:
        expected = self.case.expect
        if not expected.incidents:
            return self.told == 0
        again = expected.reopened is None or expected.reopened == self.reopened
        return self.joins[""].whole and again


def evaluate(context: Context) -> Section:
    """Every case under `evals/clustering/`."""
    played = [play(case) for case in load_cases(context.cases / "clustering", ClusteringExpected)]
    faults = [one for one in played if one.case.expect.incidents]
    quiet = [one for one in played if not one.case.expect.incidents]
    figures = [share("right", "cases that are wholly right", sum(one.right for one in faults), len(faults))]
    for peer, key in (("", ""), ("within two minutes", "near_"), ("one a signature", "signature_")):
        figures += _figures([one.joins[peer] for one in faults], key, peer)
    figures += [
        share(
            "confident_wrong",
            "wrong merges whose cause was given with confidence",
            sum(one.confident for one in faults),
            len(faults),
            better="lower",
        ),
        share(
            "false_alarms", "nothing happened: told", sum(bool(one.told) for one in quiet), len(quiet), better="lower"
        ),
    ]
    failures = [_failure(one) for one in played if not one.right]
    return Section("clustering", "Incidents from problems", _TEXT, figures, [_families(played)], failures)


def play(case: Case[ClusteringExpected]) -> Played:
    """Replay a case and compare. ValueError where it names another number of incidents than it expects."""
    truth = truth_of(case)
    named = len(set(truth.values()) - {""})
    if named != case.expect.incidents:
        raise ValueError(f"{case.id} names {named} incidents and expects {case.expect.incidents}")
    found = replayed(case)
    problems = problems_of(found)
    part_problem = {part: home_of(case, part, problems) for part in truth}
    homes = {"": ours(found), "within two minutes": near(problems), "one a signature": by_signature(problems)}
    joins = {peer: joins_of(truth, part_problem, by_problem) for peer, by_problem in homes.items()}
    at_home = {part: homes[""].get(problem.id) for part, problem in part_problem.items() if problem}
    first = next((episode for episode in found if episode.incident.id in at_home.values()), None)
    return Played(
        case,
        joins,
        sum(bool(episode.told) for episode in found),
        first.incident.reopened if first else 0,
        bool(joins[""].wrong) and any(_sure(episode) for episode in found),
        _told(found, truth, part_problem, homes[""]),
    )


def truth_of(case: Case[Any]) -> dict[str, str]:
    """{part: incident} of every part that has a failing line; "" belongs to none."""
    failing = pl.any_horizontal(pl.col("line").str.starts_with(word) for word in _FAILING)
    rows = case.records.with_columns(case.marks["part"], case.marks["incident"]).filter(
        failing & (pl.col("part") != "")
    )
    return dict(rows.select("part", "incident").unique(maintain_order=True).iter_rows())


def home_of(case: Case[Any], part: str, problems: Sequence[Problem]) -> Problem | None:
    """The problem that most of a part's lines are of: the same service, its words in order, its span of time."""
    rows = case.records.filter(case.marks["part"] == part)
    votes: Counter[str] = Counter()
    known = {problem.id: problem for problem in problems}
    for ts, service, line in rows.select("ts", "service", "line").iter_rows():
        fitting = [
            problem
            for problem in problems
            if problem.service == service and problem.onset <= ts <= problem.last_seen and _fits(problem.template, line)
        ]
        if fitting:
            votes[max(fitting, key=lambda problem: len(problem.template)).id] += 1
    return known[votes.most_common(1)[0][0]] if votes else None


def ours(found: Sequence[Episode]) -> dict[str, str]:
    """{problem: incident}."""
    return {problem.id: episode.incident.id for episode in found for problem in episode.incident.problems}


def near(problems: Sequence[Problem]) -> dict[str, str]:
    """The same, of a peer for which all that happens within two minutes is one incident."""
    homes: dict[str, str] = {}
    home, last = "", 0
    for problem in problems:
        if not home or problem.onset - last > _NEAR:
            home = problem.id
        homes[problem.id] = home
        last = max(last, problem.last_seen)
    return homes


def by_signature(problems: Sequence[Problem]) -> dict[str, str]:
    """The same, of a peer with one incident a signature and service, which ends a cooldown after its last record."""
    homes: dict[str, str] = {}
    open_: dict[tuple[str, str], tuple[str, int]] = {}
    for problem in problems:
        key = (problem.service, problem.signature)
        home, last = open_.get(key, (problem.id, problem.onset))
        home = home if problem.onset - last <= _COOLDOWN else problem.id
        homes[problem.id] = home
        open_[key] = (home, max(last, problem.last_seen))
    return homes


def joins_of(
    truth: Mapping[str, str], part_problem: Mapping[str, Problem | None], by_problem: Mapping[str, str]
) -> Joins:
    """Compare the incidents of all pairs of parts; a pair of two parts that belong to none says nothing."""
    homes = {part: by_problem.get(problem.id) if problem else None for part, problem in part_problem.items()}
    right = wrong = missing = 0
    for one, other in combinations(truth, 2):
        if not truth[one] and not truth[other]:
            continue
        joined = homes[one] is not None and homes[one] == homes[other]
        together = truth[one] == truth[other]
        right += joined and together
        wrong += joined and not together
        missing += together and not joined
    pieces = []
    for incident in sorted(set(truth.values()) - {""}):
        parts = [homes[part] for part, name in truth.items() if name == incident]
        pieces.append(len({home for home in parts if home is not None}) + parts.count(None))
    return Joins(right, wrong, missing, tuple(pieces))


def f1(joins: Sequence[Joins]) -> float:
    """2PR / (P + R) over all pairs; 1 where there is nothing to join and nothing joined."""
    right, wrong, missing = (sum(getattr(one, name) for one in joins) for name in ("right", "wrong", "missing"))
    return 2 * right / (2 * right + wrong + missing) if right + wrong + missing else 1.0


def _figures(joins: Sequence[Joins], key: str, peer: str) -> list[Figure]:
    right, wrong, missing = (sum(getattr(one, name) for one in joins) for name in ("right", "wrong", "missing"))
    pieces = [float(count) for one in joins for count in one.pieces]
    low, high = bootstrap([float(n) for n in range(len(joins))], lambda drawn: f1([joins[int(n)] for n in drawn]))
    lower: Better = "lower"
    return [
        share(f"{key}precision", "joins that are right", right, right + wrong, peer=peer),
        share(f"{key}recall", "joins that ought to be and are", right, right + missing, peer=peer),
        Figure(f"{key}f1", "F1 of joins", f1(joins), low=low, high=high, n=len(joins), peer=peer),
        share(
            f"{key}wrong_merge",
            "cases with a wrong merge",
            sum(bool(one.wrong) for one in joins),
            len(joins),
            better=lower,
            peer=peer,
        ),
        Figure(f"{key}pieces", "pieces", sum(pieces) / len(pieces), n=len(pieces), better=lower, peer=peer, noise=0.02),
    ]


def _fits(template: str, line: str) -> bool:
    place = 0
    for words in template.split("<*>"):
        place = line.find(words.strip(), place)
        if place < 0:
            return False
        place += len(words.strip())
    return True


def _sure(episode: Episode) -> bool:
    root = episode.incident.root_cause
    return root is not None and not root.undetermined and root.confidence >= 0.7


def _told(
    found: Sequence[Episode],
    truth: Mapping[str, str],
    part_problem: Mapping[str, Problem | None],
    homes: Mapping[str, str],
) -> str:
    """`[a a] [b noise] lost: a` with the parts of each incident."""
    held: dict[str, list[str]] = {episode.incident.id: [] for episode in found}
    lost = []
    for part, name in truth.items():
        problem = part_problem[part]
        if problem is None:
            lost.append(name or "noise")
        else:
            held[homes[problem.id]].append(name or "noise")
    shown = [f"[{' '.join(names)}]" for names in held.values() if names]
    others = sum(not names for names in held.values())
    text = " ".join(shown) + (f" and {others} of no part" if others else "")
    return (text + (f"; not found: {' '.join(lost)}" if lost else "")).strip() or "nothing"


def _failure(one: Played) -> Failure:
    expected = one.case.expect
    wanted = f"{expected.incidents} incidents" if expected.incidents else "nobody told"
    if expected.reopened is not None:
        wanted += f", re-opened {expected.reopened} times"
    got = one.got + (f", {one.told} told" if not expected.incidents else f", re-opened {one.reopened} times")
    return Failure(f"{one.case.id} {one.case.inputs.name}", wanted, got, one.confident)


def _families(played: Sequence[Played]) -> Table:
    def counted(of: Callable[[Played], bool], family: str) -> int:
        return sum(of(one) for one in played if one.case.inputs.family == family)

    rows: list[list[str | float | int | None]] = [
        [
            family.replace("_", " "),
            counted(lambda one: True, family),
            counted(lambda one: one.right, family),
            counted(lambda one: bool(one.joins[""].wrong), family),
            counted(lambda one: bool(one.joins[""].missing), family),
        ]
        for family in dict.fromkeys(one.case.inputs.family for one in played)
    ]
    return Table("By family", ["family", "cases", "right", "wrong merge", "in pieces"], rows)
