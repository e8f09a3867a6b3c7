"""Evaluates rule groups: alerting rules become alerts with Prometheus' states, recording rules hold their values.

An alert is pending until its expression has held for the rule's `for`, then firing; when the expression no longer
holds it is resolved and told so for a while. `limit` of a group refuses an evaluation's result and leaves what was
active as it is. Nothing here waits or sends: `evaluate_due` is called with the time and gives what to send.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import orjson

from ..logql.errors import LogQLError
from .alert_template import expand
from .labels import Labels
from .limits import MINUTE
from .rules import Rule, RuleGroup, RuleStore

Vector = list[tuple[Labels, float]]
Evaluate = Callable[[str, str, int], Vector]
"""Takes a tenant, an expression and a time (ns); gives the vector. Raises LogQLError."""

State = Literal["inactive", "pending", "firing"]

DEFAULT_INTERVAL_NS = MINUTE
RESEND_NS = MINUTE
_KEEP_RESOLVED_NS = 15 * MINUTE
_MAX_ALERTS = 10_000


@dataclass(slots=True)
class Alert:
    """One label set for which an alerting rule's expression holds, or held a while ago. Times in ns, 0: never."""

    labels: Labels
    annotations: Labels
    value: float
    active_at: int
    fired_at: int = 0
    resolved_at: int = 0
    sent_at: int = 0
    valid_until: int = 0

    @property
    def state(self) -> State:
        """Where it stands."""
        if self.resolved_at:
            return "inactive"
        return "firing" if self.fired_at else "pending"

    def wants_sending(self, now: int) -> bool:
        """Whether the Alertmanager should hear of it: when firing again and again, and when it has just ended."""
        if not self.fired_at:
            return False
        return self.resolved_at > self.sent_at or self.sent_at + RESEND_NS <= now


@dataclass(slots=True)
class RuleState:
    """A rule with what its last evaluation gave."""

    rule: Rule
    alerts: dict[bytes, Alert] = field(default_factory=dict)
    vector: Vector = field(default_factory=list)
    health: Literal["unknown", "ok", "err"] = "unknown"
    last_error: str = ""
    evaluated_at: int = 0
    took_s: float = 0.0

    @property
    def state(self) -> State:
        """The strongest state of its alerts."""
        states = {alert.state for alert in self.alerts.values()}
        return "firing" if "firing" in states else "pending" if "pending" in states else "inactive"

    def active(self) -> list[Alert]:
        """Alerts that are pending or firing, ordered by their labels."""
        found = [(key, alert) for key, alert in self.alerts.items() if not alert.resolved_at]
        return [alert for _, alert in sorted(found, key=lambda item: item[0])]


@dataclass(slots=True)
class GroupState:
    """A group on its way through time."""

    tenant: str
    namespace: str
    group: RuleGroup
    rules: list[RuleState]
    next_at: int = 0
    evaluated_at: int = 0
    took_s: float = 0.0

    @property
    def interval_ns(self) -> int:
        return self.group.interval_ns or DEFAULT_INTERVAL_NS


class Ruler:
    """All tenants' rules. Its methods may be called from any thread; evaluations do not run beside each other."""

    def __init__(self, store: RuleStore, evaluate: Evaluate) -> None:
        self._store = store
        self._evaluate = evaluate
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, str, str], GroupState] = {}
        self._orphans: list[tuple[str, Rule, Alert]] = []
        self._version = -1

    def _refresh(self, now: int) -> None:
        """Take over changed groups. A rule that stays as it was keeps its alerts; those of one that went are ended."""
        if self._version == self._store.version:
            return
        self._version = self._store.version
        fresh: dict[tuple[str, str, str], GroupState] = {}
        for tenant in self._store.tenants():
            for namespace, groups in self._store.groups(tenant).items():
                for group in groups:
                    key = (tenant, namespace, group.name)
                    old = self._groups.get(key)
                    if old is not None and old.group == group:
                        fresh[key] = old
                        continue
                    left = list(old.rules) if old else []
                    rules = []
                    for rule in group.rules:
                        kept = next((state for state in left if state.rule == rule), None)
                        if kept is not None:
                            left.remove(kept)
                        rules.append(kept or RuleState(rule))
                    self._end(tenant, left, now)
                    fresh[key] = GroupState(tenant, namespace, group, rules, now)
        for key, old in self._groups.items():
            if key not in fresh:
                self._end(old.tenant, old.rules, now)
        self._groups = fresh

    def _end(self, tenant: str, rules: list[RuleState], now: int) -> None:
        for rule in rules:
            for alert in rule.active():
                if alert.fired_at:
                    alert.resolved_at = alert.valid_until = now
                    self._orphans.append((tenant, rule.rule, alert))

    def evaluate_due(self, now: int) -> dict[str, list[tuple[Rule, Alert]]]:
        """Evaluate the groups whose time has come; gives by tenant the alerts to send, in order."""
        with self._lock:
            self._refresh(now)
            due = [group for group in self._groups.values() if group.next_at <= now and group.rules]
        sends: dict[str, list[tuple[Rule, Alert]]] = {}
        for tenant, rule_of, alert in self._orphans:
            sends.setdefault(tenant, []).append((rule_of, alert))
        self._orphans = []
        for group in due:
            began = time.perf_counter()
            for rule in group.rules:
                self._evaluate_rule(group, rule, now)
                # What is sent is sent whole: all that should be heard of now.
                sends.setdefault(group.tenant, []).extend(
                    (rule.rule, alert) for _, alert in sorted(rule.alerts.items()) if alert.wants_sending(now)
                )
            group.evaluated_at = now
            group.took_s = time.perf_counter() - began
            # Steps that were missed are not made up for: the next one is a whole interval on.
            group.next_at = now + group.interval_ns
        for alerts in sends.values():
            for _, alert in alerts:
                alert.sent_at = now
        return {tenant: alerts for tenant, alerts in sends.items() if alerts}

    def next_due(self) -> int | None:
        """When the next evaluation is to be, or None when there are no rules."""
        with self._lock:
            return min((group.next_at for group in self._groups.values() if group.rules), default=None)

    def _evaluate_rule(self, group: GroupState, state: RuleState, now: int) -> None:
        began = time.perf_counter()
        try:
            vector = self._evaluate(group.tenant, state.rule.expr, now)
            if len(vector) > (group.group.limit or _MAX_ALERTS) > 0:
                kind = "alerts" if state.rule.alert else "series"
                raise LogQLErrorText(f"exceeded limit of {group.group.limit or _MAX_ALERTS} with {len(vector)} {kind}")
            if state.rule.alert:
                self._advance(group, state, vector, now)
            else:
                state.vector = [
                    ({**labels, "__name__": state.rule.record, **state.rule.labels}, value) for labels, value in vector
                ]
            state.health, state.last_error = "ok", ""
        except (LogQLError, LogQLErrorText) as error:
            state.health, state.last_error = "err", str(error)
        state.evaluated_at = now
        state.took_s = time.perf_counter() - began

    @staticmethod
    def _advance(group: GroupState, state: RuleState, vector: Vector, now: int) -> None:
        rule = state.rule
        seen: set[bytes] = set()
        for metric, value in vector:
            metric = {name: text for name, text in metric.items() if name != "__name__"}
            extra = {name: expand(text, rule.alert, metric, value) for name, text in rule.labels.items()}
            labels = {k: v for k, v in {**metric, **extra, "alertname": rule.alert}.items() if v}
            labels = dict(sorted(labels.items()))
            annotations = {name: expand(text, rule.alert, metric, value) for name, text in rule.annotations.items()}
            key = orjson.dumps(labels)
            if key in seen:
                raise LogQLErrorText("vector contains metrics with the same labelset after applying alert labels")
            seen.add(key)
            alert = state.alerts.get(key)
            if alert is None or alert.resolved_at:
                state.alerts[key] = Alert(labels, annotations, value, now)
            else:
                alert.value, alert.annotations = value, annotations
        valid_until = now + 4 * max(group.interval_ns, RESEND_NS)
        for key, alert in list(state.alerts.items()):
            if key in seen:
                if not alert.fired_at and now - alert.active_at >= rule.hold_ns:
                    alert.fired_at = now
                alert.valid_until = valid_until
            elif not alert.fired_at or (alert.resolved_at and now - alert.resolved_at > _KEEP_RESOLVED_NS):
                del state.alerts[key]
            elif not alert.resolved_at:
                alert.resolved_at = alert.valid_until = now

    def groups(self, tenant: str, now: int) -> list[GroupState]:
        """A tenant's groups that have rules, in the order of namespace and name."""
        with self._lock:
            self._refresh(now)
            return [group for _, group in sorted(self._groups.items()) if group.tenant == tenant and group.rules]


class LogQLErrorText(Exception):
    """An evaluation whose result cannot be used."""
