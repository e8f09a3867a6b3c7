"""What is wrong with rule groups, before a ruler says so: names, labels, limits, and every expression's LogQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from incidentlens import logql
from incidentlens.intake.errors import LokiError
from incidentlens.intake.loki import LokiClient
from incidentlens.model.base import Value

from .model import Group, Rule


class RuleIssue(Value):
    """One thing wrong with one rule; `by` is who says so: incidentlens, or Loki."""

    group: str
    rule: str
    message: str
    by: str = "incidentlens"

    def __str__(self) -> str:
        place = "".join(f"{part}: " for part in (self.group, self.rule) if part)
        return f"{place}{self.message}" + (f" (says {self.by})" if self.by == "Loki" else "")


def lint_groups(groups: Sequence[Group], rules_per_group: int) -> list[RuleIssue]:
    """Issues in the groups' order; empty where all is well."""
    issues: list[RuleIssue] = []
    for name, times in Counter(group.name for group in groups).items():
        if times > 1:
            issues.append(RuleIssue(group=name, rule="", message=f"{times} groups have this name"))
    for group in groups:
        if len(group.rules) > rules_per_group:
            text = f"{len(group.rules)} rules, ruler.rules_per_group is {rules_per_group}"
            issues.append(RuleIssue(group=group.name, rule="", message=text))
        seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
        for rule in group.rules:
            name = rule.alert or rule.record
            issues += [RuleIssue(group=group.name, rule=name, message=text) for text in _wrong(rule)]
            key = (name, tuple(sorted(rule.labels.items())))
            if key in seen:
                issues.append(RuleIssue(group=group.name, rule=name, message="stands twice with the same labels"))
            seen.add(key)
    return issues


def _wrong(rule: Rule) -> list[str]:
    wrong = []
    if bool(rule.alert) == bool(rule.record):
        wrong.append("must have exactly one of alert and record")
    if rule.record and (rule.annotations or rule.hold_ns):
        wrong.append("a recording rule has neither annotations nor for")
    wrong += [
        f"{label!r} is no name of a label"
        for label in (*rule.labels, *rule.annotations)
        if not (label.isascii() and label.isidentifier()) or label == "__name__"
    ]
    error = logql.check(rule.expr)
    if error is not None:
        wrong.append(str(error))
    elif not logql.is_metric(rule.expr):
        wrong.append("a rule needs a metric query, this one gives lines")
    return wrong


async def ask_loki(groups: Sequence[Group], loki: LokiClient) -> list[RuleIssue]:
    """What Loki's own parser says of each expression. Raises LokiError where it cannot be asked."""
    issues = []
    for group in groups:
        for rule in group.rules:
            try:
                await loki.format_query(rule.expr)
            except LokiError as error:
                if error.retry:
                    raise
                issues.append(
                    RuleIssue(group=group.name, rule=rule.alert or rule.record, message=str(error), by="Loki")
                )
    return issues
