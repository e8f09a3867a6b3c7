"""A project's stored past under another policy or other runbooks: reads the store, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from incidentlens.analysis import AnalysisContext, Analyst
from incidentlens.model.analysis import Analysis, Bundle, EvidenceItem
from incidentlens.model.decisions import Decision
from incidentlens.model.incidents import Incident
from incidentlens.policy.backtest import Backtest, Reconsider, backtest
from incidentlens.policy.history import History
from incidentlens.policy.model import Policy
from incidentlens.runbooks import Matcher
from incidentlens.runbooks.model import Runbook

MAX_DECISIONS = 20_000


class Past(Protocol):
    """What is read; see `store.pg.read_decisions`."""

    async def decisions_since(self, project: str, since: int, limit: int) -> tuple[list[Decision], int]: ...
    async def incidents_of(self, project: str, ids: Sequence[str]) -> dict[str, Incident]: ...
    async def evidence_of(self, project: str, ids: Sequence[str]) -> dict[str, list[EvidenceItem]]: ...


async def backtest_project(
    past: Past,
    project: str,
    policy: Policy,
    *,
    since: int,
    runbooks: Sequence[Runbook] | None = None,
    keep_mode: bool = True,
    limit: int = MAX_DECISIONS,
) -> Backtest:
    """The decisions since then (ns; the latest `limit`), taken again; with `runbooks` analysed again too."""
    decisions, more = await past.decisions_since(project, since, limit)
    incidents = await past.incidents_of(project, [decision.incident_id for decision in decisions])
    again = None
    if runbooks is not None:
        again = reconsidering(runbooks, await past.evidence_of(project, list(incidents)))
    return backtest(decisions, incidents, policy, again, keep_mode=keep_mode, cut=more)


def reconsidering(runbooks: Sequence[Runbook], evidence: Mapping[str, Sequence[EvidenceItem]]) -> Reconsider:
    """The analysis of incidents by the rules and these runbooks. A model's word is not asked for again."""
    matcher = Matcher(runbooks)
    analyst = Analyst(matcher)

    def reconsider(incident: Incident, history: History, at: int) -> tuple[Analysis, Runbook | None]:
        bundle = Bundle(incident=incident, items=tuple(evidence.get(incident.id, ())))
        context = AnalysisContext(now=at, deploys=history.deploys, counts=history.counts)
        analysis = analyst.analyse(bundle, context)
        if analysis.source != "runbook" or not analysis.runbooks:
            return analysis, None
        return analysis, matcher.runbook(analysis.runbooks[0].runbook_id)

    return reconsider
