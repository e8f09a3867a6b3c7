"""A rule group as Loki's ruler keeps it, in and out of YAML, and the seal by which a hand's edit is seen.

Loki keeps no field of its own for a writer's notes, so the seal (a digest of the whole group) stands in an annotation
of the group's first alerting rule. A group whose content no longer fits its seal was edited by somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import xxhash
import yaml

from incidentlens.config.types import format_duration, parse_duration

SEAL = "incidentlens_written"
MAX_YAML = 8 << 20  # bytes of one answer
MAX_RULES = 20_000  # of one answer


class RuleYamlError(ValueError):
    """What the ruler (or a file) has is no list of rule groups; the message says why."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An alerting rule (`alert`) or a recording rule (`record`). `hold_ns` is its `for`; `other` we never write."""

    expr: str
    alert: str = ""
    record: str = ""
    hold_ns: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As it stands in YAML, keys in Loki's order; nothing that is empty."""
        out: dict[str, Any] = {"record": self.record, "alert": self.alert, "expr": self.expr}
        if self.hold_ns:
            out["for"] = format_duration(self.hold_ns)
        out["labels"] = dict(sorted(self.labels.items()))
        out["annotations"] = dict(sorted(self.annotations.items()))
        return {key: value for key, value in out.items() if value} | dict(sorted(self.other.items()))


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together each `interval_ns` (0: the ruler's own interval)."""

    name: str
    rules: tuple[Rule, ...]
    interval_ns: int = 0
    other: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        out: dict[str, Any] = {"name": self.name}
        if self.interval_ns:
            out["interval"] = format_duration(self.interval_ns)
        return out | dict(sorted(self.other.items())) | {"rules": [rule.document() for rule in self.rules]}

    def without_seal(self) -> Group:
        rules = tuple(
            replace(rule, annotations={name: text for name, text in rule.annotations.items() if name != SEAL})
            if SEAL in rule.annotations
            else rule
            for rule in self.rules
        )
        return replace(self, rules=rules)

    def digest(self) -> str:
        """16 hex digits of all that the group says, its seal left out."""
        content = orjson.dumps(self.without_seal().document(), option=orjson.OPT_SORT_KEYS)
        return xxhash.xxh3_64(content).hexdigest()

    @property
    def seal(self) -> str:
        """The digest it was written with; empty where it bears none."""
        return next((rule.annotations[SEAL] for rule in self.rules if SEAL in rule.annotations), "")

    @property
    def untouched(self) -> bool:
        """True where it stands as IncidentLens wrote it."""
        return self.seal == self.digest()

    def sealed(self) -> Group:
        """The group with its seal. Raises ValueError where it has no alerting rule to bear it."""
        bare = self.without_seal()
        index = next((index for index, rule in enumerate(bare.rules) if rule.alert), None)
        if index is None:
            raise ValueError(f"group {self.name!r} has no alerting rule to bear its seal")
        bearer = bare.rules[index]
        sealed = replace(bearer, annotations={**bearer.annotations, SEAL: bare.digest()})
        return replace(bare, rules=(*bare.rules[:index], sealed, *bare.rules[index + 1 :]))


def group_yaml(group: Group) -> str:
    """One group as the ruler takes it."""
    return _dump(group.document())


def groups_yaml(groups: list[Group]) -> str:
    """The file form, for a ruler that reads its rules from a folder: `groups:` and the list."""
    return _dump({"groups": [group.document() for group in groups]})


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists are set in, as Go writes them."""
        super().increase_indent(flow, False)


def _string(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """What does not print (a line end of Unicode's, say) is escaped: bare it would be read as something else."""
    style = None if text.replace("\n", "").isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def _dump(value: dict[str, Any]) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


class _Loader(yaml.SafeLoader):
    """Every scalar stays the text it is."""


_Loader.yaml_implicit_resolvers = {}


def read_namespaces(body: bytes) -> dict[str, list[Group]]:
    """What the ruler lists: groups by namespace. Raises RuleYamlError."""
    document = _load(body)
    return {str(name): [_group(item) for item in _list(groups)] for name, groups in _mapping(document).items()}


def read_file(body: bytes) -> list[Group]:
    """A rule file (`groups:`). Raises RuleYamlError."""
    return [_group(item) for item in _list(_mapping(_load(body)).get("groups"))]


def _load(body: bytes) -> Any:
    if len(body) > MAX_YAML:
        raise RuleYamlError(f"is over {MAX_YAML >> 20} MB")
    if b"&" in body and any(isinstance(event, yaml.AliasEvent) for event in _events(body)):
        raise RuleYamlError("has aliases (*name), which rules never need")
    try:
        return yaml.load(body, Loader=_Loader)  # noqa: S506 (it is a SafeLoader, with less)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RuleYamlError(f"is not YAML: {str(error).splitlines()[0]}") from error


def _events(body: bytes) -> list[Any]:
    try:
        return list(yaml.parse(body, Loader=_Loader))
    except (yaml.YAMLError, ValueError) as error:
        raise RuleYamlError(f"is not YAML: {str(error).splitlines()[0]}") from error


def _group(value: Any) -> Group:
    document = dict(_mapping(value))
    rules = _list(document.pop("rules", None))
    if len(rules) > MAX_RULES:
        raise RuleYamlError(f"has a group of {len(rules)} rules")
    return Group(
        name=_text(document.pop("name", "")),
        interval_ns=_duration(document, "interval"),
        rules=tuple(map(_rule, rules)),
        other=document,
    )


def _rule(value: Any) -> Rule:
    document = dict(_mapping(value))
    return Rule(
        expr=_text(document.pop("expr", "")),
        alert=_text(document.pop("alert", "")),
        record=_text(document.pop("record", "")),
        hold_ns=_duration(document, "for"),
        labels=_texts(document.pop("labels", None)),
        annotations=_texts(document.pop("annotations", None)),
        other=document,
    )


def _mapping(value: Any) -> Mapping[Any, Any]:
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise RuleYamlError("is no mapping where rule groups or rules are expected")
    return value


def _list(value: Any) -> list[Any]:
    if value in (None, ""):
        return []
    if not isinstance(value, list):
        raise RuleYamlError("has no list where groups or rules are expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise RuleYamlError("has something else than text where a name or an expression is expected")
    return value


def _texts(value: Any) -> dict[str, str]:
    return {_text(name): _text(text) for name, text in _mapping(value).items()}


def _duration(document: dict[Any, Any], key: str) -> int:
    """The duration under `key` in ns, taken out; one that we never write (`1y`) stays in the document as it is."""
    text = _text(document.get(key, ""))
    try:
        found = 0 if text in ("", "0") else parse_duration(text)
    except ValueError:
        return 0
    document.pop(key, None)
    return found
