"""Incidents with their problems, samples and members, each in its own table, read back as they were saved."""

# ruff: noqa: S608 (only this folder's own column lists are put into statements; every value is a parameter)

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.rows import DictRow

from incidentlens.model.incidents import Incident, Membership, Problem, RootCause, Sample, ScoreParts, Suppression
from incidentlens.store.base import StoreRefused
from incidentlens.store.checks import check_ids
from incidentlens.store.text import clean, words

from .session import Session, as_json

INCIDENT = (
    "project", "id", "title", "service", "status", "severity", "disposition", "confidence", "onset", "opened_at",
    "last_seen", "updated_at", "ended_at", "count", "analysed_count", "reopened", "root_cause", "runbook", "summary",
    "suppression_reason", "suppression_detail", "labels", "pinned",
)  # fmt: skip
DERIVED = ("services", "signatures", "search")
PROBLEM = (
    "id", "position", "service", "signature", "template", "level", "kind", "onset", "last_seen", "count",
    "baseline_per_minute", "rate_per_minute", "score", "severity_weight", "spike_ratio", "criticality",
    "baseline", "why", "suppressed_reason", "suppressed_detail", "trace_ids", "mentions",
)  # fmt: skip
SAMPLE = (
    "problem_id", "position", "id", "ts", "service", "stream", "level", "line", "message", "trace_id", "signature",
)  # fmt: skip
MEMBER = ("position", "problem_id", "why", "by")


def upsert(table: str, keys: Sequence[str], columns: Sequence[str], *, search: str | None = None) -> str:
    """INSERT … ON CONFLICT … that writes nothing where nothing changed: most of a tick's rows did not."""
    every = [*keys, *(column for column in columns if column not in keys)]
    marks = ["array_to_tsvector(%s::text[])" if column == search else "%s" for column in every]
    rest = [column for column in every if column not in keys]
    new_values = ", ".join(f"{column} = excluded.{column}" for column in rest)
    return (
        f"INSERT INTO {table} ({', '.join(every)}) VALUES ({', '.join(marks)}) "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {new_values} "
        f"WHERE ({', '.join(f'{table}.{column}' for column in rest)}) "
        f"IS DISTINCT FROM ({', '.join(f'excluded.{column}' for column in rest)})"
    )


SAVE_INCIDENT = upsert("incidents", ("project", "id"), (*INCIDENT, *DERIVED), search="search")
SAVE_PROBLEM = upsert("problems", ("project", "incident_id", "id"), PROBLEM)
SAVE_SAMPLE = upsert("problem_samples", ("project", "incident_id", "problem_id", "position"), SAMPLE)
SAVE_MEMBER = upsert("members", ("project", "incident_id", "position"), MEMBER)


def incident_words(incident: Incident) -> list[str]:
    """The words an incident is found by, the most telling first, since their number is bounded."""
    problems = incident.problems
    return words(
        [
            incident.id,
            incident.title,
            incident.service,
            incident.runbook,
            " ".join(incident.services),
            " ".join(f"{key} {value}" for key, value in incident.labels.items()),
            incident.summary,
            " ".join(incident.signatures),
            " ".join(dict.fromkeys(problem.template for problem in problems)),
        ]
    )


def incident_values(incident: Incident) -> tuple[Any, ...]:
    """The parameters of SAVE_INCIDENT."""
    suppression = incident.suppression
    return (
        incident.project, incident.id, incident.title, incident.service, incident.status.value,
        incident.severity.value, incident.disposition.value, incident.confidence, incident.onset, incident.opened_at,
        incident.last_seen, incident.updated_at, incident.ended_at, incident.count, incident.analysed_count,
        incident.reopened,
        as_json(incident.root_cause.model_dump(mode="python")) if incident.root_cause else None,
        incident.runbook, incident.summary,
        suppression.reason if suppression else None, suppression.detail if suppression else None,
        as_json(incident.labels), incident.pinned, list(incident.services), list(incident.signatures),
        incident_words(incident),
    )  # fmt: skip


def problem_values(incident: Incident, position: int, problem: Problem) -> tuple[Any, ...]:
    """The parameters of SAVE_PROBLEM."""
    held = problem.suppressed
    return (
        incident.project, incident.id, problem.id, position, problem.service, problem.signature, problem.template,
        problem.level.value, problem.kind.value, problem.onset, problem.last_seen, problem.count,
        problem.baseline_per_minute, problem.rate_per_minute, problem.score, problem.parts.severity_weight,
        problem.parts.spike_ratio, problem.parts.criticality, problem.parts.baseline, problem.why,
        held.reason if held else None, held.detail if held else None,
        list(problem.trace_ids), list(problem.mentions),
    )  # fmt: skip


def sample_values(incident: Incident, problem: Problem, position: int, sample: Sample) -> tuple[Any, ...]:
    """The parameters of SAVE_SAMPLE."""
    return (
        incident.project, incident.id, problem.id, position, sample.id, sample.ts, sample.service, sample.stream,
        sample.level.value, sample.line, sample.message, sample.trace_id, sample.signature,
    )  # fmt: skip


async def load(session: Session, project: str, where: str, params: Sequence[Any]) -> list[Incident]:
    """Whole incidents that fulfil a condition on `incidents`, newest first: four statements, however many."""
    heads = await session.rows(
        f"SELECT {', '.join(INCIDENT)} FROM incidents WHERE project = %s AND ({where}) "
        'ORDER BY opened_at DESC, id COLLATE "C" DESC',
        (project, *params),
    )
    if not heads:
        return []
    ids = [head["id"] for head in heads]
    of_incidents = (project, ids)
    problem_rows = await session.rows(
        f"SELECT incident_id, {', '.join(PROBLEM)} FROM problems "
        "WHERE project = %s AND incident_id = ANY(%s) ORDER BY incident_id, position",
        of_incidents,
    )
    sample_rows = await session.rows(
        f"SELECT incident_id, {', '.join(SAMPLE)} FROM problem_samples "
        "WHERE project = %s AND incident_id = ANY(%s) ORDER BY incident_id, problem_id, position",
        of_incidents,
    )
    member_rows = await session.rows(
        f"SELECT incident_id, {', '.join(MEMBER)} FROM members "
        "WHERE project = %s AND incident_id = ANY(%s) ORDER BY incident_id, position",
        of_incidents,
    )
    samples: dict[tuple[str, str], list[Sample]] = {}
    for row in sample_rows:
        row.pop("position")
        samples.setdefault((row.pop("incident_id"), row.pop("problem_id")), []).append(Sample(**row))
    problems: dict[str, list[Problem]] = {}
    for row in problem_rows:
        incident_id = row.pop("incident_id")
        problem = _problem(project, row, samples.get((incident_id, row["id"]), []))
        problems.setdefault(incident_id, []).append(problem)
    members: dict[str, list[Membership]] = {}
    for row in member_rows:
        row.pop("position")
        members.setdefault(row.pop("incident_id"), []).append(Membership(**row))
    return [_incident(head, problems.get(head["id"], []), members.get(head["id"], [])) for head in heads]


def _problem(project: str, row: DictRow, samples: list[Sample]) -> Problem:
    row.pop("position")
    parts = ScoreParts(
        severity_weight=row.pop("severity_weight"),
        spike_ratio=row.pop("spike_ratio"),
        criticality=row.pop("criticality"),
        baseline=row.pop("baseline"),
    )
    suppressed = _suppression(row.pop("suppressed_reason"), row.pop("suppressed_detail"))
    return Problem(project=project, parts=parts, suppressed=suppressed, samples=tuple(samples), **row)


def _incident(row: DictRow, problems: list[Problem], members: list[Membership]) -> Incident:
    suppression = _suppression(row.pop("suppression_reason"), row.pop("suppression_detail"))
    cause = row.pop("root_cause")
    return Incident(
        **row,
        suppression=suppression,
        root_cause=RootCause(**cause) if cause is not None else None,
        problems=tuple(problems),
        members=tuple(members),
    )


def _suppression(reason: str | None, detail: str | None) -> Suppression | None:
    return None if reason is None else Suppression(reason=reason, detail=detail or "")


class IncidentsPart:
    """The methods of `base.Transaction` over these tables."""

    project: str
    session: Session
    changed: dict[str, None]

    async def live_incidents(self, since: int) -> list[Incident]:
        return await load(self.session, self.project, "ended_at IS NULL OR ended_at >= %s", (since,))

    async def incident(self, incident_id: str) -> Incident | None:
        found = await load(self.session, self.project, "id = %s", (incident_id,))
        return found[0] if found else None

    async def save_incident(self, incident: Incident) -> None:
        if incident.project != self.project:
            raise StoreRefused(
                f"refused: incident {incident.id} belongs to project {incident.project}, not {self.project}"
            )
        check_ids(incident)
        incident = clean(incident)
        key = (self.project, incident.id)
        problems = incident.problems
        await self.session.run(SAVE_INCIDENT, incident_values(incident))
        await self.session.run(
            "DELETE FROM problems WHERE project = %s AND incident_id = %s AND id <> ALL(%s)",
            (*key, [problem.id for problem in problems]),
        )
        await self.session.many(
            SAVE_PROBLEM, (problem_values(incident, position, problem) for position, problem in enumerate(problems))
        )
        await self.session.many(
            SAVE_SAMPLE,
            (
                sample_values(incident, problem, position, sample)
                for problem in problems
                for position, sample in enumerate(problem.samples)
            ),
        )
        await self.session.run(
            "DELETE FROM problem_samples AS sample USING unnest(%s::text[], %s::int[]) AS kept (problem_id, held) "
            "WHERE sample.project = %s AND sample.incident_id = %s AND sample.problem_id = kept.problem_id "
            "AND sample.position >= kept.held",
            ([problem.id for problem in problems], [len(problem.samples) for problem in problems], *key),
        )
        await self.session.many(
            SAVE_MEMBER,
            (
                (*key, position, member.problem_id, member.why, member.by)
                for position, member in enumerate(incident.members)
            ),
        )
        await self.session.run(
            "DELETE FROM members WHERE project = %s AND incident_id = %s AND position >= %s",
            (*key, len(incident.members)),
        )
        self.changed[incident.id] = None
