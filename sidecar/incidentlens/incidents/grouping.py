"""Problems become incidents. Joining too much is the worse error, so every join needs a reason that can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson
import xxhash

from incidentlens.model.incidents import Incident, Membership, Problem, Suppression
from incidentlens.model.terms import Disposition, Status

from .describe import leading, severity_of, title_of
from .relations import Relation, index_terms, relation
from .settings import GroupingSettings

MERGED_INTO = "merged_into"  # label of an incident that became part of another one
SPLIT_FROM = "split_from"  # label of an incident that a person took out of another one
_RELATION_TRIES = 200  # problems of other incidents that one problem is compared with


def group(
    problems: Sequence[Problem], live: Sequence[Incident], now: int, settings: GroupingSettings | None = None
) -> list[Incident]:
    """The incidents that are new or changed once `problems` have found their place, oldest first.

    `live` are the active incidents and those that ended recently (pinned ones may be older: what a person joined or
    took apart is kept to as long as they are given). An incident that is found to be part of an older one comes back
    closed, with the label `merged_into`.
    """
    desk = _Desk(live, now, settings or GroupingSettings())
    for problem in sorted(problems, key=lambda problem: (problem.onset, problem.id)):
        desk.place(problem)
    return desk.changed()


class _Desk:
    """The incidents while problems are being placed."""

    def __init__(self, live: Sequence[Incident], now: int, settings: GroupingSettings) -> None:
        self._now = now
        self._settings = settings
        self._incidents: dict[str, Incident] = {}
        self._changed: dict[str, None] = {}
        self._by_problem: dict[str, str] = {}
        self._by_key: dict[tuple[str, str], list[str]] = {}
        self._by_term: dict[str, dict[tuple[str, str], None]] = {}  # term: (incident id, problem id)
        self._problems: dict[str, Problem] = {}
        self._apart: dict[str, set[str]] = {}
        for incident in sorted(live, key=lambda incident: incident.opened_at):
            if MERGED_INTO not in incident.labels:
                self._enter(incident)

    def changed(self) -> list[Incident]:
        found = [self._incidents[incident_id] for incident_id in self._changed]
        return sorted(found, key=lambda incident: (incident.opened_at, incident.onset, incident.id))

    def place(self, problem: Problem) -> None:
        """Find or make the problem's incident."""
        home = self._by_problem.get(problem.id)
        if home is not None:
            self._update(self._incidents[home], problem)
        elif incident := self._same_signature(problem):
            self._add(incident, problem, Membership(problem_id=problem.id, why=self._why_again(incident, problem)))
        elif found := self._related(problem, exclude=None):
            incident, reason = found
            self._add(incident, problem, Membership(problem_id=problem.id, why=reason.why))
        else:
            self._open(problem)
        self._join_further(problem)

    # -- finding a place -------------------------------------------------------------------------------------------

    def _same_signature(self, problem: Problem) -> Incident | None:
        """The newest incident that has this signature in this service and may still take it."""
        for incident_id in reversed(self._by_key.get(self._key(problem), [])):
            incident = self._incidents[incident_id]
            if incident.status.active:
                if incident.pinned or problem.onset - incident.last_seen <= self._settings.cooldown:
                    return incident
            elif incident.ended_at is not None and self._now - incident.ended_at <= self._settings.cooldown:
                return incident
        return None

    def _key(self, problem: Problem) -> tuple[str, str]:
        """Service and signature, by the signature's name of today."""
        return problem.service, self._settings.aliases.get(problem.signature, problem.signature)

    def _related(self, problem: Problem, exclude: str | None) -> tuple[Incident, Relation] | None:
        """The active incident with the strongest reason for it."""
        best: tuple[Incident, Relation] | None = None
        tried: set[tuple[str, str]] = set()
        for term in index_terms(problem, self._settings):
            for pair in reversed(self._by_term.get(term, {})):
                if pair in tried or len(tried) >= _RELATION_TRIES:
                    continue
                tried.add(pair)
                incident = self._incidents[pair[0]]
                if incident.id == exclude or incident.pinned or not incident.status.active:
                    continue
                if self._kept_apart(problem, incident):
                    continue
                reason = relation(problem, self._problems[pair[1]], self._settings)
                if reason and (best is None or reason.strength > best[1].strength):
                    best = (incident, reason)
        return best

    def _kept_apart(self, problem: Problem, incident: Incident) -> bool:
        """True where a person took this signature out of an incident that had one of these."""
        apart = self._apart.get(_key_text(problem), set())
        return any(_key_text(member) in apart for member in incident.problems)

    # -- changing incidents ----------------------------------------------------------------------------------------

    def _open(self, problem: Problem) -> None:
        digest = xxhash.xxh3_64(orjson.dumps([problem.project, problem.id])).hexdigest()
        self._enter(
            Incident(
                id=f"inc_{digest}",
                project=problem.project,
                title=title_of([problem]),
                service=problem.service,
                status=Status.SUPPRESSED if problem.suppressed else Status.OPEN,
                severity=severity_of([problem]),
                disposition=Disposition.OBSERVE,
                confidence=0.0,
                onset=problem.onset,
                opened_at=self._now,
                last_seen=problem.last_seen,
                updated_at=self._now,
                count=problem.count,
                problems=(problem,),
                members=(Membership(problem_id=problem.id, why="the first problem of the incident"),),
                suppression=problem.suppressed,
            )
        )
        self._changed[f"inc_{digest}"] = None

    def _update(self, incident: Incident, problem: Problem) -> None:
        """A problem that went on."""
        old = self._problems[problem.id]
        if incident.status in (Status.CLOSED, Status.IGNORED):
            return  # a person ended it while it went on: it takes a new span to come back
        problems = tuple(problem if member.id == problem.id else member for member in incident.problems)
        self._store(incident, problems, incident.members, added=max(0, problem.count - old.count))

    def _add(self, incident: Incident, problem: Problem, member: Membership) -> None:
        problems = (*incident.problems, problem)
        members = (*incident.members, member)
        if len(problems) > self._settings.max_problems:
            least = min(problems[:-1], key=lambda known: (known.score, -known.last_seen))
            problems = tuple(known for known in problems if known.id != least.id)
            members = tuple(known for known in members if known.problem_id != least.id)
        self._store(incident, problems, members, added=problem.count)

    def _store(
        self, incident: Incident, problems: tuple[Problem, ...], members: tuple[Membership, ...], added: int
    ) -> None:
        """An incident with changed problems: count, times, status and, unless a person has pinned it, the rest."""
        held = _suppression(problems)
        status, reopened, ended_at = incident.status, incident.reopened, incident.ended_at
        if status in (Status.RESOLVED, Status.CLOSED):
            status, reopened, ended_at = Status.OPEN, reopened + 1, None
        if status in (Status.OPEN, Status.SUPPRESSED):
            status = Status.SUPPRESSED if held else Status.OPEN
        update = {
            "problems": problems,
            "members": members,
            "count": incident.count + added,
            "onset": min(incident.onset, *(problem.onset for problem in problems)),
            "last_seen": max(incident.last_seen, *(problem.last_seen for problem in problems)),
            "updated_at": self._now,
            "status": status,
            "reopened": reopened,
            "ended_at": ended_at,
            "suppression": held,
        }
        if not incident.pinned:
            update["severity"] = max(severity_of(problems), incident.severity, key=lambda severity: severity.rank)
            if incident.root_cause is None:
                update["title"] = title_of(problems)
                update["service"] = leading(problems).service
        self._enter(incident.model_copy(update=update))
        self._changed[incident.id] = None

    def _join_further(self, problem: Problem) -> None:
        """Where what is now known of the problem ties its incident to another one, the younger becomes part of it."""
        home = self._incidents.get(self._by_problem.get(problem.id, ""))
        if home is None or home.pinned or not home.status.active:
            return
        found = self._related(problem, exclude=home.id)
        if found is None or found[1].strength < 0.85:
            return
        other, reason = found
        if abs(other.onset - home.onset) > self._settings.onset_window:
            return
        older, younger = sorted((home, other), key=lambda incident: (incident.opened_at, incident.onset, incident.id))
        why = f"its incident turned out to be part of this one: {problem.service} {reason.why}"
        kept, gone = absorb(older, younger, why, "rule", self._now)
        for member in younger.problems:
            self._by_problem[member.id] = kept.id
        self._enter(kept)
        self._incidents[gone.id] = gone
        self._changed[kept.id] = None
        self._changed[gone.id] = None

    # -- indices ---------------------------------------------------------------------------------------------------

    def _enter(self, incident: Incident) -> None:
        """Put an incident, new or changed, into the indices."""
        self._incidents[incident.id] = incident
        for problem in incident.problems:
            seen = self._problems.get(problem.id)
            pinned_elsewhere = self._incidents.get(self._by_problem.get(problem.id, ""))
            if pinned_elsewhere and pinned_elsewhere.pinned and pinned_elsewhere.id != incident.id:
                continue
            self._by_problem[problem.id] = incident.id
            if seen is problem:
                continue
            self._problems[problem.id] = problem
            ids = self._by_key.setdefault(self._key(problem), [])
            if incident.id in ids:
                ids.remove(incident.id)
            ids.append(incident.id)
            for term in index_terms(problem, self._settings):
                self._by_term.setdefault(term, {})[(incident.id, problem.id)] = None
        if SPLIT_FROM in incident.labels and (origin := self._incidents.get(incident.labels[SPLIT_FROM])):
            self._keep_apart(incident.problems, origin.problems)

    def _keep_apart(self, one: Iterable[Problem], other: Iterable[Problem]) -> None:
        left, right = {_key_text(problem) for problem in one}, {_key_text(problem) for problem in other}
        for key in left:
            self._apart.setdefault(key, set()).update(right - left)
        for key in right:
            self._apart.setdefault(key, set()).update(left - right)

    @staticmethod
    def _why_again(incident: Incident, problem: Problem) -> str:
        by = next(
            (
                member.by
                for member, known in _membership(incident)
                if (known.service, known.signature) == (problem.service, problem.signature) and member.by != "rule"
            ),
            None,
        )
        again = "the same signature in the same service as before"
        return f"{again}, where {by} put it" if by else again


def absorb(older: Incident, younger: Incident, why: str, by: str, now: int) -> tuple[Incident, Incident]:
    """(`older` with the problems of `younger`, `younger` closed and labelled with where it went)."""
    known = {problem.id for problem in older.problems}
    extra = tuple(problem for problem in younger.problems if problem.id not in known)
    problems = (*older.problems, *extra)
    held = _suppression(problems)
    status = older.status
    if status in (Status.OPEN, Status.SUPPRESSED):
        status = Status.SUPPRESSED if held else Status.OPEN
    kept = older.model_copy(
        update={
            "problems": problems,
            "members": (*older.members, *(Membership(problem_id=p.id, why=why, by=by) for p in extra)),
            "count": older.count + sum(problem.count for problem in extra),
            "onset": min(older.onset, younger.onset),
            "last_seen": max(older.last_seen, younger.last_seen),
            "updated_at": now,
            "severity": max(severity_of(problems), older.severity, key=lambda severity: severity.rank),
            "status": status,
            "suppression": held,
        }
    )
    gone = younger.model_copy(
        update={
            "status": Status.CLOSED,
            "ended_at": now,
            "updated_at": now,
            "labels": {**younger.labels, MERGED_INTO: older.id},
        }
    )
    return kept, gone


def _suppression(problems: Sequence[Problem]) -> Suppression | None:
    """An incident is held back only where all of its problems are."""
    if not problems or any(problem.suppressed is None for problem in problems):
        return None
    return leading(problems).suppressed


def _membership(incident: Incident) -> list[tuple[Membership, Problem]]:
    problems = {problem.id: problem for problem in incident.problems}
    return [(member, problems[member.problem_id]) for member in incident.members if member.problem_id in problems]


def _key_text(problem: Problem) -> str:
    return f"{problem.service}\x00{problem.signature}"
