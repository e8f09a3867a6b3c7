"""The catalogue: every template a project has seen, and the signing of events by it.

Signing a batch costs one cheap regular expression over the distinct texts; all that is dearer runs over what is new
after it. What is promised:

- A signature's name depends on its template and level only: the same on every replica and after every restart.
- The order of rows within a batch does not matter.
- A name never goes away. Where templates prove to be one, each old name is an alias of the new one (`resolve`).
- How a history is cut into batches does not matter for lines that masks alone group. Words that prove to be values are
  found in any cut; only where two merges compete for one line may the cut decide between them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from incidentlens.model.base import Value
from incidentlens.model.records import SIGNED
from incidentlens.model.signatures import SignatureRules, Template
from incidentlens.model.terms import Level

from . import names
from .explain import MAX_TEXT, Explanation, explain, signature_text
from .masks import COLOURS, PLACEHOLDER, digits, shapes
from .merging import Merge, Merger
from .rules import Rules

MAX_TEMPLATES = 100_000
MAX_REMEMBERED = 500_000  # distinct digit-masked texts whose template is remembered (8 bytes of key each)
MAX_NEW_A_BATCH = 50_000  # distinct new texts worked on a batch; the rest of a flood is counted as overflow
_OVERFLOW = -1
_LEVELS: dict[str | None, Level] = {level.value: level for level in Level}


class CatalogueStats(Value):
    """What the catalogue holds, and what bounds cut off since it was made."""

    templates: int
    aliases: int
    overflowed: int  # events that got the overflow signature
    truncated: int  # distinct texts that were longer than MAX_TEXT
    remembered: int


@dataclass(slots=True)
class _Entry:
    signature: str
    template: str
    family: str
    level: Level
    first_seen: int
    last_seen: int
    count: int = 0
    alias_of: str | None = None
    label: str | None = None

    def value(self) -> Template:
        return Template(
            signature=self.signature,
            template=self.template,
            family=self.family,
            level=self.level,
            first_seen=self.first_seen,
            last_seen=self.last_seen,
            count=self.count,
            alias_of=self.alias_of,
            label=self.label,
        )


def general_form(text: str) -> str:
    """A masked text with a `<*>` put in, as the masks would give it (lists of values run together)."""
    return str(shapes(pl.Series([text]))[0])


class Catalogue:
    """Signs events. Not for use by several threads at once.

    `templates` is what the store has; `rules` the project's own (RuleError where one cannot be used).
    """

    def __init__(
        self,
        templates: Iterable[Template] = (),
        rules: SignatureRules | None = None,
        max_templates: int = MAX_TEMPLATES,
    ) -> None:
        self._rules = Rules(rules or SignatureRules())
        self._max_templates = max_templates
        self._entries: dict[str, _Entry] = {}
        self._by_text: dict[tuple[str, Level], str] = {}  # (template text, level) -> signature
        self._texts: list[str] = []  # a distinct masked text a row; its index is its id
        self._ids: dict[str, int] = {}
        self._root: list[int] = []  # the id of the text it was merged into, or its own
        self._remembered: dict[int, int] = {}  # hash of a digit-masked text -> id
        self._merger = Merger(general_form)
        self._why: dict[int, str] = {}
        self._watched: set[str] = set()
        self._changed: set[str] = set()
        self._overflowed = 0
        self._truncated = 0
        self.learn(templates)

    # --- signing

    def sign(self, events: pl.DataFrame) -> pl.DataFrame:
        """EVENTS in, SIGNED out: the same rows in the same order with `signature` and `template`.

        Uses the columns message, exception, level, service and ts.
        """
        if events.is_empty():
            return events.with_columns(
                signature=pl.lit("", dtype=pl.String), template=pl.lit("", dtype=pl.String)
            ).select(list(SIGNED))
        work = events.lazy().select(signature_text().alias("text"), "level", "service", "ts").collect()
        work = self._masked(work)
        groups = work.group_by("key", "rule", "level").agg(
            pl.len().alias("n"),
            pl.col("ts").min().alias("from"),
            pl.col("ts").max().alias("to"),
            pl.col("digits").min(),
        )
        self._take_in(groups.filter(pl.col("rule").is_null()))
        named = self._name(groups)
        keys = ["key", "rule", "level"]
        signed = work.select(keys).join(named, on=keys, how="left", maintain_order="left", nulls_equal=True)
        return events.with_columns(signed["signature"], signed["template"]).select(list(SIGNED))

    def _masked(self, work: pl.DataFrame) -> pl.DataFrame:
        """Add `digits` (the text with user masks and digit mask), its hash `key`, and the `rule` that matches."""
        texts = work.select(pl.col("text").unique())
        long = texts.filter(pl.col("text").str.len_bytes() > MAX_TEXT).height
        self._truncated += long
        text = pl.col("text").str.head(MAX_TEXT) if long else pl.col("text")
        if texts["text"].str.contains("\x1b", literal=True).any():
            text = text.str.replace_all(COLOURS, "")
        rule = self._rules.matching(text, pl.col("service")) if self._rules.listed else pl.lit(None, dtype=pl.Int32)
        columns = digits(self._rules.masked(text))
        # Distinct texts first, unless nearly all are: then finding each one's row again costs more than it saves.
        if len(texts) < 0.7 * len(work):
            done = texts.select("text", columns.alias("digits"))
            work = work.join(done, on="text", how="left", maintain_order="left")
        else:
            work = work.with_columns(columns.alias("digits"))
        return work.with_columns(rule.alias("rule"), pl.col("digits").hash(seed=1).alias("key"))

    def _take_in(self, groups: pl.DataFrame) -> None:
        """Give every digit-masked text that is new its template, and see what merges."""
        known = self._remembered
        new = (
            groups.filter(pl.Series([key not in known for key in groups["key"]], dtype=pl.Boolean))
            .unique("key")
            .sort("digits")
        )
        if new.is_empty():
            return
        new = new.head(MAX_NEW_A_BATCH)
        if len(known) + len(new) > MAX_REMEMBERED:
            known.clear()
        masked = shapes(new["digits"])
        for text in masked.unique().sort():
            if text not in self._ids and len(self._ids) < self._max_templates and self._merger.match(text) is None:
                self._intern(text)
        self._apply(self._merger.settle())
        for key, text in zip(new["key"], masked, strict=True):
            known[key] = self._id_of(text)

    def _id_of(self, text: str) -> int:
        """The id of a masked text, or of the template it belongs to; _OVERFLOW where there is no room for it."""
        known = self._ids.get(text)
        if known is None:
            general = self._merger.match(text)
            known = self._ids.get(general) if general is not None else None
        return _OVERFLOW if known is None else known

    def _intern(self, text: str) -> int:
        known = self._ids.get(text)
        if known is not None:
            return known
        number = self._ids[text] = len(self._texts)
        self._texts.append(text)
        self._root.append(number)
        self._watch(text)
        return number

    def _watch(self, text: str) -> None:
        self._watched.add(text)
        self._apply(self._merger.watch(text))

    def _apply(self, merges: list[Merge]) -> None:
        for merge in merges:
            general = self._intern(merge.template)
            self._why.setdefault(general, merge.why)
            for member in merge.members:
                number = self._ids[member]
                if self._root[number] == number and self._find(general) != number:
                    self._root[number] = general
                    self._alias(member, general)

    def _alias(self, member: str, general: int) -> None:
        """Let every name of a merged text lead to the name of the text it was merged into."""
        text = self._texts[self._find(general)]
        for level in Level:
            name = self._by_text.get((member, level))
            if name is None:
                continue
            old = self._entries[name]
            if old.alias_of is not None:
                continue
            new = self._entry(text, level, old.first_seen, old.last_seen, force=True)
            if new.signature != old.signature:
                old.alias_of = new.signature
                new.label = new.label or old.label
                new.first_seen = min(new.first_seen, old.first_seen)
                self._changed.update((old.signature, new.signature))

    def _find(self, number: int) -> int:
        while self._root[number] != number:
            number = self._root[number]
        return number

    def _name(self, groups: pl.DataFrame) -> pl.DataFrame:
        """The signature and template of every (key, rule, level), counting what came."""
        signatures: list[str] = []
        templates: list[str] = []
        rows = groups.select("key", "rule", "level", "n", "from", "to").iter_rows()
        for key, rule, level_text, count, first, last in rows:
            level = _LEVELS.get(level_text, Level.UNKNOWN)
            if rule is not None:
                applied = self._rules.listed[rule]
                entry = self._fixed(applied.signature(level), applied.template, applied.prefix, level, first or 0)
            else:
                number = self._remembered.get(key, _OVERFLOW)
                if number == _OVERFLOW:
                    entry = self._overflow(level, first or 0)
                else:
                    entry = self._entry(self._texts[self._find(number)], level, first or 0, last or 0)
                if entry.family == names.OVERFLOW_FAMILY:
                    self._overflowed += count
            entry = self._final(entry)
            entry.count += count
            entry.first_seen = min(entry.first_seen, first or 0)
            entry.last_seen = max(entry.last_seen, last or 0)
            self._changed.add(entry.signature)
            signatures.append(entry.signature)
            templates.append(entry.template)
        return groups.select("key", "rule", "level").with_columns(
            pl.Series("signature", signatures, dtype=pl.String), pl.Series("template", templates, dtype=pl.String)
        )

    def _entry(self, text: str, level: Level, first: int, last: int, force: bool = False) -> _Entry:
        """The entry of a template at a level, made where there is none; the overflow entry where there is no room."""
        name = self._by_text.get((text, level))
        if name is not None:
            return self._entries[name]
        if len(self._entries) >= self._max_templates and not force:
            return self._overflow(level, first)
        area, name = names.signature(text, level, self._entries.__contains__)
        entry = self._entries[name] = _Entry(name, text, area, level, first, last)
        self._by_text[(text, level)] = name
        self._changed.add(name)
        self._witness(entry)
        return entry

    def _witness(self, entry: _Entry) -> None:
        """Keep a text that a merged template came from, as its alias: it tells a restart which `<*>` was a word."""
        leaf = self._merger.leaf(entry.template)
        if leaf is None or any((leaf, level) in self._by_text for level in Level):
            return
        area, name = names.signature(leaf, entry.level, self._entries.__contains__)
        self._entries[name] = _Entry(
            name, leaf, area, entry.level, entry.first_seen, entry.last_seen, alias_of=entry.signature
        )
        self._by_text[(leaf, entry.level)] = name
        self._changed.add(name)

    def _fixed(self, name: str, template: str, area: str, level: Level, first: int) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry(name, template, area, level, first, first)
        return entry

    def _overflow(self, level: Level, first: int) -> _Entry:
        return self._fixed(names.overflow_signature(level), "too many signatures", names.OVERFLOW_FAMILY, level, first)

    def _final(self, entry: _Entry) -> _Entry:
        seen: set[str] = set()
        while entry.alias_of is not None and entry.alias_of in self._entries and entry.signature not in seen:
            seen.add(entry.signature)
            entry = self._entries[entry.alias_of]
        return entry

    # --- the catalogue itself

    def learn(self, templates: Iterable[Template]) -> None:
        """Take in templates of the store or of another replica; what is known already keeps its larger count.

        The same templates give the same names in whatever order they come.
        """
        # What has fewer placeholders was merged first.
        coming = sorted(templates, key=lambda one: (one.template.count(PLACEHOLDER), one.signature))
        learnt = False
        for template in coming:
            self._learn_one(template)
        watched: list[str] = []
        for template in coming:
            entry = self._entries[template.signature]
            target = self._final(entry)
            if target is entry:
                watched.append(entry.template)
                continue
            member, general = self._raw_id(entry.template), self._raw_id(target.template)
            if member != general and self._root[member] == member and self._find(general) != member:
                self._root[member] = general
                direct = self._entries.get(entry.alias_of or "")
                learnt |= self._merger.learn(entry.template, direct.template if direct else target.template)
                self._why.setdefault(general, "merged earlier")
        for text in sorted(set(watched)):
            if text not in self._watched:
                self._raw_id(text)
                self._watch(text)
        self._apply(self._merger.settle())
        if learnt:
            self._match_again()

    def _match_again(self) -> None:
        """Texts that stood for themselves may fit a merge that another replica found."""
        for number, text in enumerate(self._texts):
            general = self._merger.match(text) if self._root[number] == number else None
            if general is not None and general in self._ids and self._find(self._ids[general]) != number:
                self._root[number] = self._ids[general]
                self._alias(text, self._ids[general])

    def _learn_one(self, template: Template) -> None:
        known = self._entries.get(template.signature)
        if known is None:
            fields = {name: getattr(template, name) for name in Template.model_fields}
            known = self._entries[template.signature] = _Entry(**fields)
            key = (template.template, template.level)
            # Two names of one template can only come from names lengthened apart; the smaller one stays.
            first = self._by_text.setdefault(key, template.signature)
            if first != template.signature and known.alias_of is None:
                known.alias_of = first
            return
        known.alias_of = known.alias_of or template.alias_of
        known.label = template.label or known.label
        known.count = max(known.count, template.count)
        known.first_seen = min(known.first_seen, template.first_seen)
        known.last_seen = max(known.last_seen, template.last_seen)

    def _raw_id(self, text: str) -> int:
        known = self._ids.get(text)
        if known is None:
            known = self._ids[text] = len(self._texts)
            self._texts.append(text)
            self._root.append(known)
        return known

    def changed(self) -> list[Template]:
        """What is new or different since the last call, by name."""
        changed = [self._entries[name].value() for name in sorted(self._changed)]
        self._changed.clear()
        return changed

    def templates(self) -> list[Template]:
        """Everything, aliases too, by name."""
        return [self._entries[name].value() for name in sorted(self._entries)]

    def template(self, signature: str) -> Template | None:
        """The entry of that name, not resolved; None where there is none."""
        entry = self._entries.get(signature)
        return entry.value() if entry else None

    def resolve(self, signature: str) -> str:
        """The name that `signature` leads to today; itself where it is no alias or not known."""
        entry = self._entries.get(signature)
        return self._final(entry).signature if entry else signature

    def stats(self) -> CatalogueStats:
        """How full it is, and what bounds cut off."""
        return CatalogueStats(
            templates=len(self._entries),
            aliases=sum(entry.alias_of is not None for entry in self._entries.values()),
            overflowed=self._overflowed,
            truncated=self._truncated,
            remembered=len(self._remembered),
        )

    # --- explaining

    def explain(
        self, message: str, level: Level = Level.UNKNOWN, exception: str | None = None, service: str = "unknown"
    ) -> Explanation:
        """Why such a record gets its signature. Nothing is counted and nothing remembered."""
        return explain(
            self._rules, self._lineage, self._named, message=message, level=level, exception=exception, service=service
        )

    def _lineage(self, masked: str) -> tuple[str, list[str]]:
        number = self._id_of(masked)
        if number == _OVERFLOW:
            if len(self._entries) >= self._max_templates:
                return masked, [f"the catalogue is full ({self._max_templates:,} templates): a new one is overflow"]
            return masked, ["not seen before: it would be a new template"]
        reasons: list[str] = []
        while True:
            text = self._texts[number]
            if text != masked:
                reasons.append(f"merged into {text!r}: {self._why.get(number, 'words that vary')}")
            if self._root[number] == number:
                return text, reasons
            number = self._root[number]

    def _named(self, text: str, level: Level) -> tuple[str, str, str]:
        name = self._by_text.get((text, level))
        if name is None:
            area, fresh = names.signature(text, level, self._entries.__contains__)
            return fresh, text, area
        entry = self._final(self._entries[name])
        return entry.signature, entry.template, entry.family
