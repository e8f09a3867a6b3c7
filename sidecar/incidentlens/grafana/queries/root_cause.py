"""`root_cause`: the chain from the suspected cause to the symptoms, as a node graph of services and their problems."""

from __future__ import annotations

from typing import Any

from incidentlens.grafana.frames import Field, FieldType, Frame, table
from incidentlens.model.incidents import ChainStep, Incident, Problem
from incidentlens.model.times import duration, utc

from . import instead, look
from .context import QueryContext
from .query import PanelQuery

MAX_PROBLEMS = 40
_TEXT = 300
ROLES = ("cause", "link", "symptom", "other")


async def answer(query: PanelQuery, context: QueryContext) -> list[Frame]:
    """Two frames, nodes and edges, also where they are empty. An arc is the share of a service's problems that have
    that role; an edge tells how much later it began and why it is thought to follow."""
    if not query.incident_id:
        return look.noticed(_frames(_nothing(query), []), ["choose an incident to see where it came from"])
    detail = await context.queries.incident_detail(context.project, query.incident_id[0])
    if detail is None:
        return look.noticed(_frames(_nothing(query), []), ["there is no such incident"])
    incident = detail.incident
    cause = incident.root_cause
    steps = {(step.service, step.signature): step for step in (cause.chain if cause is not None else ())}
    # What the chain stands on is always shown: the page tells the same one.
    problems = sorted(
        incident.problems,
        key=lambda problem: (
            (problem.service, problem.signature) not in steps,
            -problem.score,
            problem.onset,
            problem.id,
        ),
    )
    shown = sorted(problems[:MAX_PROBLEMS], key=lambda problem: (problem.onset, problem.id))
    notes = [
        f"{len(problems) - MAX_PROBLEMS:,} lesser problems are not shown" if len(problems) > MAX_PROBLEMS else None,
        cause.summary if cause is not None and cause.undetermined else None,
        "only one incident is shown at once" if len(query.incident_id) > 1 else None,
    ]
    nodes, edges = _graph(incident, shown, steps)
    return look.noticed(_frames(nodes or _nothing(query), edges), notes)


Row = dict[str, Any]


def _nothing(query: PanelQuery) -> list[Row]:
    """One node that says what the query wishes to be said in place of nothing: its first two sentences are read at it,
    the rest in its menu."""
    said = instead.sentences(query.empty)
    if not said:
        return []
    shown = {"title": said[0], "subtitle": said[1] if said[1:] else "", "mainstat": "–", "secondarystat": ""}
    return [{"id": "nothing", **shown, **_arcs(["other"]), "detail__why": query.empty}]


def _graph(
    incident: Incident, problems: list[Problem], steps: dict[tuple[str, str], ChainStep]
) -> tuple[list[Row], list[Row]]:
    """Rows of the nodes and of the edges."""
    scores = {entry.service: entry.score for entry in (incident.root_cause.ranking if incident.root_cause else ())}
    first = min((step.onset for step in steps.values()), default=min((p.onset for p in problems), default=0))
    services: dict[str, list[tuple[str, int, int]]] = {}  # role, onset, count of each problem
    nodes, edges = [], []
    for step in steps.values():
        if not step.signature:  # a cause without any failing line of its own
            services.setdefault(step.service, []).append((step.role, step.onset, 0))
    for problem in problems:
        found = steps.get((problem.service, problem.signature))
        role = found.role if found is not None else "other"
        services.setdefault(problem.service, []).append((role, problem.onset, problem.count))
        nodes.append(
            {
                "id": f"problem:{problem.id}",
                "title": _short(problem.template),
                "subtitle": problem.service,
                "mainstat": f"{problem.count:,} records",
                "secondarystat": _delay(problem.onset - first),
                **_arcs([role]),
                "detail__role": role,
                "detail__signature": problem.signature,
                "detail__since": utc(problem.onset),
                "detail__why": _short(found.because if found is not None else problem.why),
                "detail__evidence": ", ".join(found.evidence[:5]) if found is not None else "",
            }
        )
        edges.append(
            {
                "id": f"has:{problem.id}",
                "source": f"service:{problem.service}",
                "target": f"problem:{problem.id}",
                "mainstat": f"{problem.count:,}",
                "secondarystat": "",
                "detail__reason": _short(problem.why),
            }
        )
    nodes = [_service(name, marks, first, scores.get(name)) for name, marks in services.items()] + nodes
    return nodes, _passed_on(problems, steps, services) + edges


def _service(name: str, marks: list[tuple[str, int, int]], first: int, score: float | None) -> Row:
    onset = min(onset for _, onset, _ in marks)
    roles = [role for role, _, _ in marks]
    return {
        "id": f"service:{name}",
        "title": _short(name),
        "subtitle": next(role for role in ROLES if role in roles),
        "mainstat": f"{sum(count for _, _, count in marks):,} records",
        "secondarystat": _delay(onset - first),
        **_arcs(roles),
        "detail__role": ", ".join(role for role in ROLES if role in roles),
        "detail__signature": "",
        "detail__since": utc(onset),
        "detail__why": "" if score is None else f"its score as the cause is {score:.3g}",
        "detail__evidence": "",
    }


def _passed_on(
    problems: list[Problem], steps: dict[tuple[str, str], ChainStep], services: dict[str, list[tuple[str, int, int]]]
) -> list[Row]:
    """One edge a service that follows: from an earlier one that its failing lines name, or else from the cause."""
    chain = sorted(steps.values(), key=lambda step: (step.role != "cause", step.onset))
    if not chain:
        return []
    root = chain[0]
    mentions: dict[str, set[str]] = {}
    for problem in problems:
        mentions.setdefault(problem.service, set()).update(problem.mentions)
    edges: list[Row] = []
    before: list[ChainStep] = [root]
    for step in chain[1:]:
        if step.service == root.service or any(edge["target"] == f"service:{step.service}" for edge in edges):
            continue
        if step.service not in services:
            continue
        named = [one for one in before if one.service in mentions.get(step.service, ()) and one.service != step.service]
        source = named[-1] if named else root
        edges.append(
            {
                "id": f"led:{source.service}>{step.service}",
                "source": f"service:{source.service}",
                "target": f"service:{step.service}",
                "mainstat": _delay(step.onset - source.onset),
                "secondarystat": step.role,
                "detail__reason": _short(step.because),
            }
        )
        before.append(step)
    return [edge for edge in edges if edge["source"].removeprefix("service:") in services]


def _frames(nodes: list[Row], edges: list[Row]) -> list[Frame]:
    text = FieldType.STRING
    columns = [Field(name, text, []) for name in ("id", "title", "subtitle")]
    columns.append(Field("mainstat", text, [], {"displayName": "Records"}))
    columns.append(Field("secondarystat", text, [], {"displayName": "Began"}))
    for role in ROLES:
        look_of = {"displayName": role.capitalize(), **look.fixed(look.ROLE[role])}
        columns.append(Field(f"arc__{role}", FieldType.FLOAT, [], look_of))
    details = ("role", "signature", "since", "why", "evidence")
    columns += [Field(f"detail__{name}", text, [], {"displayName": name.capitalize()}) for name in details]
    ends = [Field(name, text, []) for name in ("id", "source", "target", "mainstat", "secondarystat")]
    ends.append(Field("detail__reason", text, [], {"displayName": "Reason"}))
    return [
        Frame("nodes", table(nodes, columns), look.GRAPH),
        Frame("edges", table(edges, ends), look.GRAPH),
    ]


def _arcs(roles: list[str]) -> dict[str, float]:
    """Shares that add up to 1."""
    return {f"arc__{role}": roles.count(role) / len(roles) for role in ROLES}


def _delay(ns: int) -> str:
    return "first" if ns == 0 else f"{'+' if ns > 0 else '−'}{duration(abs(ns))}"


def _short(text: str) -> str:
    line = " ".join(text.replace("<*>", "…").split())
    return line if len(line) <= _TEXT else f"{line[: _TEXT - 1]}…"
