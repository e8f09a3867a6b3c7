"""A project's own masks, groupings and noise: reading them, checking them, applying them to columns.

masks:
  - {name: tenant, pattern: 'tenant-[a-z]+'}               # replacement: <*> unless given
groups:
  - {name: card declined, pattern: '(?i)card .*declined', services: [payment], signature: payment:declined}
noise:
  - {name: load balancer probe, pattern: 'GET /healthz'}
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl
import re2

from incidentlens.model.signatures import GroupRule, MaskRule, SignatureRules
from incidentlens.model.terms import Level
from incidentlens.model.yamlfile import read

from . import names

NOISE_FAMILY = "noise"
GROUP_FAMILY = "group"
MAX_PATTERN = 2_000  # characters
MAX_RULES = 500


class RuleError(ValueError):
    """A rule that cannot be used; the message names it and says what to do."""


class AppliedRule(NamedTuple):
    """A grouping or noise rule ready for columns. `prefix` is `group` or `noise`."""

    prefix: str
    rule: GroupRule

    def signature(self, level: Level) -> str:
        """The name of its events at a level."""
        return self.rule.signature or names.rule_signature(self.prefix, level, self.rule.name)

    @property
    def template(self) -> str:
        """What stands in the template column: the rule's name."""
        return f"{self.prefix} rule: {self.rule.name}"


def load_rules(path: str | Path) -> SignatureRules:
    """Read a rules file. Raises YamlError with file, line and key, for a pattern that does not compile too."""
    document = read(path)
    rules = document.validate(SignatureRules)
    total = len(rules.masks) + len(rules.groups) + len(rules.noise)
    if total > MAX_RULES:
        raise document.error((), f"has {total} rules; at most {MAX_RULES} are allowed")
    for kind in ("masks", "groups", "noise"):
        listed: Sequence[MaskRule | GroupRule] = getattr(rules, kind)
        for index, rule in enumerate(listed):
            try:
                check_rule(rule)
            except RuleError as error:
                raise document.error((kind, index, "pattern"), str(error)) from error
    return rules


def check_rule(rule: MaskRule | GroupRule) -> None:
    """Raises RuleError where the pattern is no regular expression of RE2, or could match everything."""
    if len(rule.pattern) > MAX_PATTERN:
        raise RuleError(f"the pattern of {rule.name!r} is longer than {MAX_PATTERN:,} characters")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(rule.pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise RuleError(f"the pattern of {rule.name!r} is no RE2 expression: {text}") from error
    if compiled.search("") is not None:
        raise RuleError(
            f"the pattern of {rule.name!r} matches the empty text, so it would match everything; make it say more"
        )
    try:
        probe = pl.Series(["probe"])
        if isinstance(rule, MaskRule):
            probe.str.replace_all(rule.pattern, rule.replacement)
        else:
            probe.str.contains(rule.pattern)
    except pl.exceptions.ComputeError as error:
        raise RuleError(
            f"the pattern of {rule.name!r} cannot be used: {str(error).splitlines()[-1].strip()}"
        ) from error


class Rules:
    """A project's rules over columns. Raises RuleError for a rule that cannot be used."""

    def __init__(self, rules: SignatureRules) -> None:
        self.masks = rules.masks
        self.listed = tuple(
            [AppliedRule(NOISE_FAMILY, rule) for rule in rules.noise]
            + [AppliedRule(GROUP_FAMILY, rule) for rule in rules.groups]
        )
        for mask in rules.masks:
            check_rule(mask)
        for applied in self.listed:
            check_rule(applied.rule)

    def masked(self, texts: pl.Expr) -> pl.Expr:
        """The users' masks in their order; `$1` in a replacement is what the first group matched."""
        for rule in self.masks:
            texts = texts.str.replace_all(rule.pattern, rule.replacement)
        return texts

    def matching(self, texts: pl.Expr, service: pl.Expr) -> pl.Expr:
        """The index in `listed` of the first rule that matches each text (noise first), null where none does."""
        chosen = pl.lit(None, dtype=pl.Int32)
        for index in range(len(self.listed) - 1, -1, -1):
            rule = self.listed[index].rule
            hit = texts.str.contains(rule.pattern)
            if rule.services:
                hit = hit & service.is_in(list(rule.services))
            chosen = pl.when(hit).then(pl.lit(index, dtype=pl.Int32)).otherwise(chosen)
        return chosen
