"""Finding the evidence a sentence rests on. Only ids of the bundle are ever given."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from incidentlens.model.analysis import Bundle, EvidenceItem
from incidentlens.model.incidents import Problem

MAX_CITED = 5


def known(bundle: Bundle, ids: Iterable[str], limit: int = MAX_CITED) -> tuple[str, ...]:
    """Those of the ids that are in the bundle, in their order, each once."""
    have = {item.id for item in bundle.items}
    return tuple(dict.fromkeys(evidence_id for evidence_id in ids if evidence_id in have))[:limit]


def items(bundle: Bundle, kind: str, fits: Callable[[EvidenceItem], bool] = lambda _: True) -> list[EvidenceItem]:
    """The bundle's items of a kind."""
    return [item for item in bundle.items if item.kind == kind and fits(item)]


def problem_records(bundle: Bundle, problem: Problem, limit: int = 3) -> tuple[str, ...]:
    """Ids of records that show the problem: its own samples, else any record of its service, earliest first."""
    own = known(bundle, (sample.id for sample in sorted(problem.samples, key=lambda sample: sample.ts)), limit)
    if own:
        return own
    return service_records(bundle, problem.service, limit)


def service_records(bundle: Bundle, service: str, limit: int = 3) -> tuple[str, ...]:
    """Ids of the service's records in the bundle, earliest first."""
    found = sorted(items(bundle, "record", lambda item: item.service == service), key=lambda item: item.ts)
    return tuple(item.id for item in found[:limit])


def refers_to(bundle: Bundle, kind: str, target: str) -> tuple[str, ...]:
    """Ids of the items of a kind that stand for a thing with that id (a deploy, an incident)."""
    return tuple(
        item.id
        for item in items(bundle, kind)
        if target in (item.id, item.data.get("id"), item.data.get(f"{kind}_id")) or item.id.endswith(f"_{target}")
    )[:MAX_CITED]


def anything(bundle: Bundle) -> tuple[str, ...]:
    """The first item of the bundle, for what is about the whole of it."""
    return tuple(item.id for item in bundle.items[:1])
