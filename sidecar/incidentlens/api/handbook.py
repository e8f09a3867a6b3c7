"""The project's runbooks with how they did: hit rates, outcomes, and hints for whoever keeps them."""

from __future__ import annotations

from incidentlens.config.loader import Project
from incidentlens.model.base import Value
from incidentlens.model.terms import Disposition, Outcome, Severity
from incidentlens.store.pg.queries import PostgresQueries
from incidentlens.verification.hints import RunbookOutcome, hints


class RunbookUse(Value):
    """One runbook, and what it matched in the time asked for. `share`: its part of all matches, 0 to 1."""

    id: str
    name: str
    description: str
    default_severity: Severity | None  # None where it is no longer configured, or only advises
    disposition: Disposition | None
    patterns: tuple[str, ...]
    steps: tuple[str, ...]
    services: tuple[str, ...]
    links: tuple[str, ...]
    source: str
    matches: int
    share: float
    last_match: int | None  # ns
    dispositions: dict[Disposition, int]
    outcomes: dict[Outcome, int]
    feedback: dict[str, int]  # by verdict
    reopened: int
    pattern_matches: dict[str, int | None]  # when each pattern last matched (ns); None: not since it is looked for
    hints: tuple[str, ...]
    helped: int  # people said so
    not_helped: int
    body: str  # the Markdown of one that is written in it
    decides: bool  # False: it only advises


async def handbook(queries: PostgresQueries, project: Project, since: int, now: int) -> list[RunbookUse]:
    """The configured runbooks and those that old incidents name, by matches since `since` (ns), then by id."""
    stats = {entry.runbook: entry for entry in await queries.runbook_stats(project.name, since=since)}
    known = {runbook.id: runbook for runbook in project.runbooks}
    ends = await queries.runbook_ends(project.name, [name for name in stats if name in known], since=since)
    outcomes = [
        RunbookOutcome(
            runbook_id=end.runbook,
            default=known[end.runbook].disposition,
            decided=end.disposition,
            outcome=end.outcome,
            reopened=end.reopened,
            verdict=end.verdict,
        )
        for end in ends
    ]
    patterns = await queries.pattern_uses(project.name)
    matched: dict[str, dict[str, int | None]] = {}
    for pattern in patterns:
        matched.setdefault(pattern.runbook_id, {})[pattern.pattern] = pattern.last_matched_at
    said: dict[str, list[str]] = {}
    for hint in hints(outcomes, [pattern for pattern in patterns if pattern.runbook_id in known], now):
        said.setdefault(hint.runbook_id, []).append(hint.text)
    total = sum(entry.matches for entry in stats.values())
    uses = []
    for name in known.keys() | stats.keys():
        runbook, entry = known.get(name), stats.get(name)
        uses.append(
            RunbookUse(
                id=name,
                name=runbook.name if runbook else name,
                description=runbook.description if runbook else "no longer configured",
                default_severity=runbook.default_severity if runbook and runbook.decides else None,
                disposition=runbook.disposition if runbook and runbook.decides else None,
                patterns=runbook.patterns if runbook else (),
                steps=runbook.steps if runbook else (),
                services=runbook.services if runbook else (),
                links=runbook.links if runbook else (),
                source=runbook.source.rpartition("/")[2] if runbook else "",
                matches=entry.matches if entry else 0,
                share=entry.matches / total if entry and total else 0.0,
                last_match=entry.last_match if entry else None,
                dispositions=entry.dispositions if entry else {},
                outcomes=entry.outcomes if entry else {},
                feedback=entry.feedback if entry else {},
                reopened=entry.reopened if entry else 0,
                pattern_matches=matched.get(name, {}),
                hints=tuple(said.get(name, ())),
                helped=entry.feedback.get("helped", 0) if entry else 0,
                not_helped=entry.feedback.get("not_helped", 0) if entry else 0,
                body=runbook.body if runbook else "",
                decides=runbook.decides if runbook else False,
            )
        )
    return sorted(uses, key=lambda use: (-use.matches, use.id))
