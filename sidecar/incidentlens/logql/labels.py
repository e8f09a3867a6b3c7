"""The labels of one line on its way through a pipeline: its stream's, its structured metadata, and what was parsed.

A label set is a tuple of (name, value) pairs in the order of names; a label with an empty value that was parsed stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from .ast import Grouping
from .units import quote

LabelSet = tuple[tuple[str, str], ...]
ERROR = "__error__"
ERROR_DETAILS = "__error_details__"
PRESERVE_ERROR = "__preserve_error__"
DUPLICATE = "_extracted"
EMPTY: LabelSet = ()


def label_set(labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> LabelSet:
    """Order labels by name."""
    return tuple(sorted(labels.items() if isinstance(labels, Mapping) else labels))


def text(labels: LabelSet) -> str:
    """Write a label set as Loki does: `{a="b", c="d"}`."""
    return "{" + ", ".join(f"{_name(name)}={quote(value)}" for name, value in labels) + "}"


def _name(name: str) -> str:
    plain = name.isascii() and name.replace("_", "a").isalnum() and not name[:1].isdecimal()
    return name if plain else quote(name)


class Hints:
    """What a query needs of a parser, so that it may stop early, and what it has given for the line at hand.

    Args:
        required: the only labels needed; empty where all are.
        nothing: no label is needed at all, parsers need not run.
        filters: label filters that may drop a line as soon as their label is found.
    """

    __slots__ = ("extracted", "filters", "nothing", "preserve_error", "required")

    def __init__(
        self,
        required: Sequence[str] = (),
        *,
        nothing: bool = False,
        filters: Sequence[tuple[str, Callable[[Builder], bool]]] = (),
    ) -> None:
        self.required = frozenset(required)
        self.nothing = nothing
        self.preserve_error = ERROR in self.required
        self.filters: dict[str, Callable[[Builder], bool]] = {}
        for name, test in filters:
            self.filters.setdefault(name, test)
        self.extracted: set[str] = set()

    def all_found(self) -> bool:
        return bool(self.required) and self.required <= self.extracted

    def skip_parsing(self) -> bool:
        return self.nothing or (bool(self.required) and self.required <= self.extracted)

    def wants(self, name: str) -> bool:
        """Say whether a parser should take up a label that it found."""
        return (not self.required or name in self.required) and name not in self.extracted

    def wants_prefix(self, prefix: str) -> bool:
        return not self.required or any(name.startswith(prefix) for name in self.required)


class Builder:
    """Labels while the stages of a pipeline work on one line. One builder serves all lines; `start` begins one."""

    __slots__ = ("base", "deleted", "details", "error", "hints", "metadata", "parsed")

    def __init__(self, hints: Hints) -> None:
        self.hints = hints
        self.base: Mapping[str, str] = {}
        self.metadata: dict[str, str] = {}
        self.parsed: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.error = ""
        self.details = ""

    def start(self, base: Mapping[str, str], metadata: Mapping[str, str]) -> None:
        self.base = base
        self.parsed = {}
        self.error = self.details = ""
        if self.deleted:
            self.deleted = set()
        if self.hints.extracted:
            self.hints.extracted.clear()
        self.metadata = {}
        for name, value in metadata.items():
            if name in base:
                name += DUPLICATE
            if name == ERROR:
                self.error = value
            elif name == ERROR_DETAILS:
                self.details = value
            else:
                self.metadata[name] = value

    def get(self, name: str) -> str | None:
        """The label's value; None where there is none (a stream label that is empty counts as none)."""
        if name in self.metadata:
            return self.metadata[name]
        if name in self.parsed:
            return self.parsed[name]
        if name in self.deleted:
            return None
        return self.base.get(name) or None

    def value(self, name: str) -> str:
        """The label's value for a string filter, which also sees the error."""
        return self.error if name == ERROR else self.get(name) or ""

    def taken(self, name: str) -> bool:
        """Say whether a parsed label of this name needs the suffix."""
        return name in self.base or name in self.metadata

    def set(self, name: str, value: str) -> None:
        """Set a parsed label."""
        self.metadata.pop(name, None)
        self.parsed[name] = value
        self.hints.extracted.add(name)

    def delete(self, name: str) -> None:
        self.metadata.pop(name, None)
        self.parsed.pop(name, None)
        self.deleted.add(name)

    def fail(self, kind: str, details: str | None) -> None:
        """Note that a parser could not read the line."""
        self.error = kind
        if details is not None:
            self.details = details
        if self.hints.preserve_error:
            self.set(PRESERVE_ERROR, "true")

    def keeps_line(self, name: str) -> bool:
        """Say whether a line stays in the result now that a parser has found a label."""
        test = self.hints.filters.get(name)
        return test is None or test(self)

    def all(self) -> dict[str, str]:
        """All labels as they stand, errors among them."""
        return {**self.stream(), **self.metadata, **self.parsed, **self._errors()}

    def stream(self) -> dict[str, str]:
        """The stream's labels that have been neither dropped nor hidden by others."""
        if not (self.deleted or self.metadata or self.parsed):
            return dict(self.base)
        hidden = self.deleted
        return {
            name: value
            for name, value in self.base.items()
            if name not in hidden and name not in self.metadata and name not in self.parsed
        }

    def parsed_labels(self) -> dict[str, str]:
        return {**self.parsed, **self._errors()}

    def _errors(self) -> dict[str, str]:
        out = {}
        if self.error:
            out[ERROR] = self.error
        if self.details and (self.error or self.deleted or self.metadata or self.parsed):
            out[ERROR_DETAILS] = self.details
        return out

    def grouped(self, grouping: Grouping | None) -> LabelSet:
        """The labels that a range aggregation tells series apart by; None: all of them."""
        if self.error:
            return label_set(self.all())
        if grouping is None:
            return label_set(self.all())
        if grouping.without:
            dropped = grouping.labels
            return tuple(sorted((n, v) for n, v in self.all().items() if n not in dropped and n != ERROR_DETAILS))
        out = []
        for name in set(grouping.labels):
            if name in self.deleted:
                continue
            value = self.metadata.get(name, self.parsed.get(name))
            if value is None and (value := self.base.get(name) or None) is None:
                continue
            out.append((name, value))
        return tuple(sorted(out))
