"""Rule groups: read from YAML and checked as Loki's ruler does it, kept on disk, written as YAML as Go writes it."""

from __future__ import annotations

import base64
import logging
import re
import sqlite3
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from ..logql.errors import LogQLError
from ..logql.parse import parse
from .alert_template import TemplateFault, check_template
from .gotext import GoError, format_prometheus_duration, parse_prometheus_duration
from .goyaml import to_yaml
from .labels import is_label_name

log = logging.getLogger(__name__)

_UNDECODED = "unable to decoded rule group"
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*+\Z")
_MAX_YAML = 2 << 20


class RuleError(Exception):
    """A rule group that is refused: the text is Loki's."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule (`alert`) or a recording rule (`record`). `hold_ns` is its `for`."""

    expr: str
    alert: str = ""
    record: str = ""
    hold_ns: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As YAML shows it: nothing that is empty."""
        out: dict[str, Any] = {"record": self.record, "alert": self.alert, "expr": self.expr}
        if self.hold_ns:
            out["for"] = format_prometheus_duration(self.hold_ns)
        out["labels"] = dict(sorted(self.labels.items()))
        out["annotations"] = dict(sorted(self.annotations.items()))
        return {key: value for key, value in out.items() if value}


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are evaluated together each `interval_ns` (0: the ruler's own interval)."""

    name: str
    rules: tuple[Rule, ...]
    interval_ns: int = 0
    limit: int = 0

    def document(self) -> dict[str, Any]:
        """As YAML shows it."""
        out: dict[str, Any] = {"name": self.name}
        if self.interval_ns:
            out["interval"] = format_prometheus_duration(self.interval_ns)
        if self.limit:
            out["limit"] = self.limit
        out["rules"] = [rule.document() for rule in self.rules]
        return out


class _Loader(yaml.SafeLoader):
    """YAML without merge keys growing things, and with scalars left as they are written."""


_Loader.yaml_implicit_resolvers = {}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RuleError(_UNDECODED)
    return value


def _duration(value: Any) -> int:
    text = _text(value)
    if not text:
        return 0
    try:
        return parse_prometheus_duration(text)
    except GoError:
        raise RuleError(_UNDECODED) from None


def _mapping(value: Any) -> dict[str, str]:
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise RuleError(_UNDECODED)
    return {_text(name): _text(text) for name, text in value.items()}


def parse_group(body: bytes) -> RuleGroup:
    """Read one rule group; raises RuleError with Loki's text. What Loki does not know it passes over."""
    if len(body) > _MAX_YAML:
        raise RuleError(_UNDECODED)
    try:
        # Of several documents the first counts.
        document = next(iter(yaml.load_all(body, Loader=_Loader)), None)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise RuleError(_UNDECODED) from None
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise RuleError(_UNDECODED)
    listed = document.get("rules")
    if listed in (None, ""):
        listed = []
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise RuleError(_UNDECODED)
    try:
        limit = int(_text(document.get("limit")) or 0)
    except ValueError:
        raise RuleError(_UNDECODED) from None
    group = RuleGroup(
        _text(document.get("name")),
        tuple(
            Rule(
                expr=_text(one.get("expr")),
                alert=_text(one.get("alert")),
                record=_text(one.get("record")),
                hold_ns=_duration(one.get("for")),
                labels=_mapping(one.get("labels")),
                annotations=_mapping(one.get("annotations")),
            )
            for one in listed
        ),
        _duration(document.get("interval")),
        limit,
    )
    if not group.name:
        raise RuleError("group 0: Groupname must not be empty")
    for rule in group.rules:
        _check(rule, group.name)
    return group


def _check(rule: Rule, group: str) -> None:
    if rule.record and rule.alert:
        raise RuleError("only one of 'record' and 'alert' must be set")
    if not rule.record and not rule.alert:
        raise RuleError("one of 'record' or 'alert' must be set")
    if not rule.expr:
        raise RuleError("field 'expr' must be set in rule")
    try:
        parse(rule.expr)
    except LogQLError as error:
        kind, name = ("record", rule.record) if rule.record else ("alert", rule.alert)
        raise RuleError(f"could not parse expression for {kind} '{name}' in group '{group}': {error}") from None
    if rule.record:
        if rule.annotations:
            raise RuleError("invalid field 'annotations' in recording rule")
        if rule.hold_ns:
            raise RuleError("invalid field 'for' in recording rule")
        if _METRIC_NAME.match(rule.record) is None:
            raise RuleError(f"invalid recording rule name: {rule.record}")
    for name in rule.labels:
        if not is_label_name(name) or name == "__name__":
            raise RuleError(f"invalid label name: {name}")
    for name in rule.annotations:
        if not is_label_name(name):
            raise RuleError(f"invalid annotation name: {name}")
    if rule.alert:
        for kind, texts in (("label", rule.labels), ("annotation", rule.annotations)):
            for name, text in texts.items():
                try:
                    check_template(text, rule.alert)
                except TemplateFault as error:
                    raise RuleError(f'{kind} "{name}": {error}') from None


def group_yaml(group: RuleGroup) -> str:
    """One group as YAML."""
    return to_yaml(group.document())


def groups_yaml(groups: dict[str, list[RuleGroup]]) -> str:
    """Groups by namespace as YAML."""
    return to_yaml({name: [group.document() for group in groups[name]] for name in sorted(groups)})


def _order(group: RuleGroup) -> bytes:
    # Loki lists groups by the name of the object they are kept in: their own name in base64.
    return base64.urlsafe_b64encode(group.name.encode("utf-8", "replace"))


class RuleStore:
    """Rule groups of all tenants, by namespace. Raises sqlite3.Error when the disk does not take them."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS groups (tenant TEXT, namespace TEXT, name TEXT, body TEXT NOT NULL, "
            "PRIMARY KEY (tenant, namespace, name)) STRICT"
        )
        self._groups: dict[str, dict[str, dict[str, RuleGroup]]] = {}
        for tenant, namespace, name, body in self._db.execute("SELECT tenant, namespace, name, body FROM groups"):
            try:
                self._namespace(tenant, namespace)[name] = parse_group(body.encode())
            except RuleError as error:
                # Kept by an older version that took more: one rule must not keep all from starting.
                log.warning("local Loki: rule group %r of tenant %r is left out: %s", name, tenant, error)
        self.version = 0
        """Counts up with every change."""

    def _namespace(self, tenant: str, namespace: str) -> dict[str, RuleGroup]:
        return self._groups.setdefault(tenant, {}).setdefault(namespace, {})

    def put(self, tenant: str, namespace: str, group: RuleGroup) -> None:
        """Keep a group, in the place of one of the same name."""
        with self._lock:
            body = orjson.dumps(group.document()).decode()
            self._db.execute("INSERT OR REPLACE INTO groups VALUES (?, ?, ?, ?)", (tenant, namespace, group.name, body))
            self._namespace(tenant, namespace)[group.name] = group
            self.version += 1

    def count(self, tenant: str) -> int:
        """How many groups a tenant has."""
        with self._lock:
            return sum(map(len, self._groups.get(tenant, {}).values()))

    def groups(self, tenant: str, namespace: str | None = None) -> dict[str, list[RuleGroup]]:
        """A tenant's groups by namespace, of one namespace or all; empty namespaces are left out."""
        with self._lock:
            found = self._groups.get(tenant, {})
            return {
                name: sorted(groups.values(), key=_order)
                for name, groups in sorted(found.items())
                if groups and namespace in (None, name)
            }

    def get(self, tenant: str, namespace: str, name: str) -> RuleGroup | None:
        """One group."""
        with self._lock:
            return self._groups.get(tenant, {}).get(namespace, {}).get(name)

    def delete(self, tenant: str, namespace: str, name: str | None = None) -> bool:
        """Forget a group, or without a name the whole namespace; whether there was any."""
        with self._lock:
            if name is None:
                self._db.execute("DELETE FROM groups WHERE tenant = ? AND namespace = ?", (tenant, namespace))
                gone = self._groups.get(tenant, {}).pop(namespace, {})
            else:
                self._db.execute(
                    "DELETE FROM groups WHERE tenant = ? AND namespace = ? AND name = ?", (tenant, namespace, name)
                )
                found = self._groups.get(tenant, {}).get(namespace, {}).pop(name, None)
                gone = {} if found is None else {name: found}
            self.version += 1
            return bool(gone)

    def tenants(self) -> list[str]:
        """Tenants that have rules."""
        with self._lock:
            return sorted(tenant for tenant, spaces in self._groups.items() if any(spaces.values()))

    def close(self) -> None:
        """Close the file."""
        self._db.close()
