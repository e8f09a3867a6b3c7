"""From a project's configuration and runbooks to its rule groups.

    thresholds  an alerting rule a runbook with `observe_threshold`, a log query
    signals     error spikes, services that fell silent, a project that fell silent
    series      recording rules: lines and failing lines a minute by service

A group never has more rules than the ruler allows; the next ones go into `thresholds-2` and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from incidentlens.config.loader import Project, Query
from incidentlens.config.model import RulerConfig
from incidentlens.config.types import format_duration
from incidentlens.logql import LogQLError
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import MANAGED_BY, OURS
from incidentlens.model.terms import Severity
from incidentlens.runbooks.model import Runbook

from . import queries
from .model import Group, Rule

NAMESPACE = "incidentlens"
_MARKER = "IncidentLensWritten"
_MAX_TEXT = 200  # characters of a runbook's name in a summary


class RulerError(Exception):
    """Rules that cannot be made or written; the message is one line that says what to do."""


def namespace_of(project: str) -> str:
    """The only namespace that is touched for a project."""
    return f"{NAMESPACE}-{project}"


def build_groups(project: Project) -> list[Group]:
    """The project's groups, sealed, in a fixed order; equal configurations give equal groups.

    Raises RulerError where they cannot be made or are more than the ruler takes.
    """
    settings = project.config.ruler
    label = project.config.service_label
    if not label.isidentifier() or not label.isascii():
        raise RulerError(f"project {project.name}: service_label {label!r} is no label that rules can group by")
    logs = [query for query in project.queries if not query.metric]
    if not logs:
        raise RulerError(f"project {project.name} has no log query that rules could count")
    try:
        kinds = {
            "thresholds": list(_thresholds(project, logs, settings)),
            "signals": list(_signals(project, logs, settings)),
            "series": list(_series(project, logs, settings)),
        }
    except LogQLError as error:
        raise RulerError(f"project {project.name}: {error}") from error
    groups = [group for name, rules in kinds.items() for group in _split(name, rules, settings)]
    if len(groups) > settings.groups:
        raise RulerError(
            f"project {project.name} needs {len(groups)} rule groups, ruler.groups allows {settings.groups}: raise it, "
            "or ruler.rules_per_group, with the limits of Loki's ruler (ruler_max_rule_groups_per_tenant)"
        )
    return groups


def _split(name: str, rules: Sequence[Rule], settings: RulerConfig) -> Iterator[Group]:
    bearer = any(rule.alert for rule in rules)
    room = settings.rules_per_group - (0 if bearer else 1)
    for number, start in enumerate(range(0, len(rules), room), 1):
        part = list(rules[start : start + room])
        if not bearer:
            part.insert(0, _marker())
        suffix = "" if number == 1 else f"-{number}"
        yield Group(f"{name}{suffix}", tuple(part), settings.interval).sealed()


def _marker() -> Rule:
    """A rule that never fires: a group of recording rules has no annotation to bear its seal."""
    text = "Never fires. It bears the seal by which `incidentlens rules` sees edits of this group."
    return Rule("vector(0) > 1", alert=_MARKER, labels={MANAGED_BY: OURS}, annotations={"summary": text})


def _thresholds(project: Project, logs: Sequence[Query], settings: RulerConfig) -> Iterator[Rule]:
    if not settings.thresholds:
        return
    label = project.config.service_label
    for runbook in sorted(project.runbooks, key=lambda runbook: runbook.id):
        wanted = runbook.observe_threshold
        if wanted is None or not runbook.patterns or not _chosen(runbook, settings):
            continue
        window = round(wanted.window_minutes * MINUTE)
        for query in logs:
            found = queries.fitting(
                queries.matching(query.logql, runbook.patterns), runbook.services, runbook.labels, label
            )
            yield Rule(
                expr=queries.threshold(found, wanted.count, window, label),
                alert=f"IncidentLensThreshold:{runbook.id}",
                labels=_labels(project, query, logs, "threshold", runbook.default_severity, runbook),
                annotations={
                    "summary": f"{_of(label)}: {{{{ $value }}}} lines in {format_duration(window)} match runbook "
                    f"{runbook.id} ({_literal(runbook.name[:_MAX_TEXT])}); its threshold is {wanted.count}",
                    "escalate_to": wanted.escalate_to.value,
                },
            )


def _chosen(runbook: Runbook, settings: RulerConfig) -> bool:
    return not settings.runbooks or any(fnmatchcase(runbook.id, glob) for glob in settings.runbooks)


def _signals(project: Project, logs: Sequence[Query], settings: RulerConfig) -> Iterator[Rule]:
    label = project.config.service_label
    window, quiet = format_duration(settings.spike_window), format_duration(settings.silence_window)
    for query in logs:
        if settings.spikes:
            yield Rule(
                expr=queries.spike(
                    query.logql, settings.spike_window, settings.spike_ratio, settings.spike_count, label
                ),
                alert="IncidentLensErrorSpike",
                labels=_labels(project, query, logs, "spike", Severity.HIGH),
                annotations={
                    "summary": f"{_of(label)}: {{{{ $value }}}} failing lines in {window}, more than "
                    f"{settings.spike_ratio:g} times the rate of the hour before"
                },
            )
        if settings.silence:
            yield Rule(
                expr=queries.silence(query.logql, settings.silence_window, settings.silence_count, label),
                alert="IncidentLensSilence",
                labels=_labels(project, query, logs, "silence", Severity.HIGH),
                annotations={
                    "summary": f"{_of(label)} has written nothing for {quiet}, after {{{{ $value }}}} lines in the "
                    "hour before"
                },
            )
            labels = _labels(project, query, logs, "silence", Severity.HIGH)
            yield Rule(
                expr=queries.silent_altogether(query.logql, settings.silence_window, settings.silence_count),
                alert="IncidentLensProjectSilence",
                labels={**labels, "service": project.name},
                annotations={
                    "summary": f"nothing of project {project.name} has arrived for {quiet}, after {{{{ $value }}}} "
                    "lines in the hour before: it is down, or its logs are not shipped"
                },
            )


def _series(project: Project, logs: Sequence[Query], settings: RulerConfig) -> Iterator[Rule]:
    if not settings.recording:
        return
    label = project.config.service_label
    for query in logs:
        labels = {MANAGED_BY: OURS, "project": project.name} | _query_label(query, logs)
        for name, found in (("lines", queries.lines(query.logql)), ("failing", queries.failing(query.logql))):
            yield Rule(expr=queries.series(found, MINUTE, label), record=f"incidentlens:{name}:count1m", labels=labels)


def _labels(
    project: Project,
    query: Query,
    logs: Sequence[Query],
    kind: str,
    severity: Severity,
    runbook: Runbook | None = None,
) -> dict[str, str]:
    """What makes an alert that comes back understood: whose it is, what it means, and the service by our own name."""
    label = project.config.service_label
    labels = {MANAGED_BY: OURS, "project": project.name, "kind": kind, "severity": severity.value}
    labels |= _query_label(query, logs)
    if runbook is not None:
        labels["runbook"] = runbook.id
    if label != "service":
        labels["service"] = _of(label)
    return labels


def _query_label(query: Query, logs: Sequence[Query]) -> dict[str, str]:
    """Rules over several queries would otherwise give alerts that cannot be told apart."""
    return {"query": query.name} if len(logs) > 1 else {}


def _of(label: str) -> str:
    return f"{{{{ $labels.{label} }}}}"


def _literal(text: str) -> str:
    """The text in a template, as it stands: what looks like a template in a runbook's name is none."""
    return text.replace("{{", '{{ "{{" }}')
