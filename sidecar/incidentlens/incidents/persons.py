"""What a person may change of the grouping, and what is kept to afterwards."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import orjson
import xxhash

from incidentlens.model.incidents import Incident, Membership, Problem
from incidentlens.model.terms import Disposition, Severity, Status

from .describe import leading, severity_of, title_of
from .grouping import SPLIT_FROM, absorb


def merge(into: Incident, other: Incident, by: str, now: int) -> tuple[Incident, Incident]:
    """(`into` with the problems of `other`, pinned; `other` closed, labelled `merged_into`).

    Later problems of `other`'s signatures go to `into`. Raises ValueError for one and the same incident, or for
    incidents of two projects.
    """
    if into.id == other.id:
        raise ValueError(f"{into.id} cannot be merged with itself")
    if into.project != other.project:
        raise ValueError(f"{into.id} and {other.id} belong to different projects")
    kept, gone = absorb(into, other, f"{by} merged {other.id} into this incident", by, now)
    return kept.model_copy(update={"pinned": True}), gone.model_copy(update={"pinned": True})


def split(incident: Incident, problem_ids: Collection[str], by: str, now: int) -> tuple[Incident, Incident]:
    """(`incident` without those problems, a new incident of them), both pinned.

    Their signatures are kept apart from then on. Raises ValueError where an id is not the incident's, or where one of
    the two would be empty.
    """
    wanted = set(problem_ids)
    if unknown := wanted - {problem.id for problem in incident.problems}:
        raise ValueError(f"not a problem of {incident.id}: {', '.join(sorted(unknown))}")
    out = tuple(problem for problem in incident.problems if problem.id in wanted)
    rest = tuple(problem for problem in incident.problems if problem.id not in wanted)
    if not out or not rest:
        raise ValueError(f"{incident.id} can only be split into two parts that both have problems")
    why = f"{by} split it off from {incident.id}"
    digest = xxhash.xxh3_64(orjson.dumps([incident.id, sorted(wanted), now])).hexdigest()
    new = Incident(
        id=f"inc_{digest}",
        project=incident.project,
        title=title_of(out),
        service=leading(out).service,
        status=incident.status if incident.status.active else Status.OPEN,
        severity=severity_of(out),
        disposition=Disposition.OBSERVE,
        confidence=0.0,
        onset=min(problem.onset for problem in out),
        opened_at=now,
        last_seen=max(problem.last_seen for problem in out),
        updated_at=now,
        count=sum(problem.count for problem in out),
        problems=out,
        members=tuple(Membership(problem_id=problem.id, why=why, by=by) for problem in out),
        suppression=incident.suppression,
        labels={SPLIT_FROM: incident.id},
        pinned=True,
    )
    kept = incident.model_copy(
        update={
            **_without(incident, rest),
            "members": tuple(member for member in incident.members if member.problem_id not in wanted),
            "updated_at": now,
            "pinned": True,
        }
    )
    return kept, new


def relabel(
    incident: Incident,
    by: str,
    now: int,
    *,
    title: str | None = None,
    severity: Severity | None = None,
    labels: Mapping[str, str] | None = None,
) -> Incident:
    """The incident with a person's title, severity or labels (an empty value takes a label away), pinned.

    Raises ValueError where nothing is to be changed, or where a label is one that grouping itself uses.
    """
    changed = dict(labels or {})
    if title is None and severity is None and not changed:
        raise ValueError("give a title, a severity or labels to change")
    if reserved := sorted(name for name in changed if name in (SPLIT_FROM, "merged_into")):
        raise ValueError(f"the label {reserved[0]} is set by merging and splitting only")
    merged = {name: value for name, value in {**incident.labels, **changed, "relabelled_by": by}.items() if value}
    return incident.model_copy(
        update={
            "title": title if title is not None else incident.title,
            "severity": severity or incident.severity,
            "labels": merged,
            "pinned": True,
            "updated_at": now,
        }
    )


def _without(incident: Incident, rest: tuple[Problem, ...]) -> dict[str, object]:
    """What changes of an incident that keeps only `rest`; a cause that left takes the root cause with it."""
    cause = incident.root_cause
    there = cause is not None and any(
        (problem.service, problem.signature) == (cause.service, cause.signature) for problem in rest
    )
    return {
        "problems": rest,
        "count": sum(problem.count for problem in rest),
        "onset": min(problem.onset for problem in rest),
        "last_seen": max(problem.last_seen for problem in rest),
        "severity": severity_of(rest),
        "title": incident.title if there else title_of(rest),
        "service": incident.service if there else leading(rest).service,
        "root_cause": cause if there else None,
    }
