"""LogQL as values: what the parser gives, the printer prints and the evaluator runs.

All nodes are frozen and compare by content. Durations and offsets are integer nanoseconds, byte sizes integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .regex import anchored

MatchOp = Literal["=", "!=", "=~", "!~"]
CompareOp = Literal["==", "!=", ">", ">=", "<", "<="]
LineOp = Literal["|=", "!=", "|~", "!~", "|>", "!>"]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label: `service=~"db|web"`. A label that is not there has the value ""."""

    name: str
    op: MatchOp
    value: str

    def test(self, value: str) -> bool:
        """Say whether a label's value satisfies the matcher."""
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        found = anchored(self.value).search(value) is not None
        return found if self.op == "=~" else not found

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether a set of labels satisfies the matcher."""
        return self.test(labels.get(self.name, ""))


# Stages of a pipeline


@dataclass(frozen=True, slots=True)
class LinePattern:
    """One alternative of a line filter; `ip` where it stood as `ip("...")`."""

    text: str
    ip: bool = False


@dataclass(frozen=True, slots=True)
class LineFilter:
    """`|= "a" or "b"`: the line holds any of the patterns; of a negated one: none of them."""

    op: LineOp
    patterns: tuple[LinePattern, ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    """`name="expression"` of `json` and `logfmt`."""

    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class Json:
    fields: tuple[Extraction, ...] = ()  # empty: every field


@dataclass(frozen=True, slots=True)
class Logfmt:
    fields: tuple[Extraction, ...] = ()
    strict: bool = False
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    expression: str


@dataclass(frozen=True, slots=True)
class Regexp:
    expression: str


@dataclass(frozen=True, slots=True)
class Unpack:
    pass


@dataclass(frozen=True, slots=True)
class LineFormat:
    template: str


@dataclass(frozen=True, slots=True)
class LabelAssignment:
    """`name=source` (a rename) or `name="template"`."""

    name: str
    value: str
    rename: bool


@dataclass(frozen=True, slots=True)
class LabelFormat:
    assignments: tuple[LabelAssignment, ...]


@dataclass(frozen=True, slots=True)
class Drop:
    labels: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class Keep:
    labels: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class Decolorize:
    pass


# Label filters


@dataclass(frozen=True, slots=True)
class StringFilter:
    matcher: Matcher


@dataclass(frozen=True, slots=True)
class NumberFilter:
    name: str
    op: CompareOp
    value: float


@dataclass(frozen=True, slots=True)
class DurationFilter:
    name: str
    op: CompareOp
    value: int  # ns


@dataclass(frozen=True, slots=True)
class BytesFilter:
    name: str
    op: CompareOp
    value: int


@dataclass(frozen=True, slots=True)
class IpFilter:
    name: str
    op: Literal["=", "!="]
    pattern: str


@dataclass(frozen=True, slots=True)
class BothFilter:
    """`and`, a comma, or two filters side by side."""

    left: AnyLabelFilter
    right: AnyLabelFilter


@dataclass(frozen=True, slots=True)
class EitherFilter:
    left: AnyLabelFilter
    right: AnyLabelFilter


AnyLabelFilter = StringFilter | NumberFilter | DurationFilter | BytesFilter | IpFilter | BothFilter | EitherFilter


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """A label filter as a stage of a pipeline."""

    filter: AnyLabelFilter


Stage = (
    LineFilter
    | Json
    | Logfmt
    | Pattern
    | Regexp
    | Unpack
    | LineFormat
    | LabelFormat
    | Drop
    | Keep
    | Decolorize
    | LabelFilter
)


# Expressions


@dataclass(frozen=True, slots=True)
class Logs:
    """A log query: a selector and a pipeline."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Unwrap:
    label: str
    conversion: Literal["", "bytes", "duration", "duration_seconds"] = ""
    filters: tuple[AnyLabelFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class LogRange:
    logs: Logs
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None


@dataclass(frozen=True, slots=True)
class Grouping:
    labels: tuple[str, ...]
    without: bool = False


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    op: str
    range: LogRange
    parameter: float | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    op: str
    inner: Metric
    parameter: int = 0
    grouping: Grouping = Grouping(())


@dataclass(frozen=True, slots=True)
class Matching:
    """How the two sides of a binary operation find each other."""

    on: bool = False
    labels: tuple[str, ...] = ()
    explicit: bool = False  # `on` or `ignoring` was written
    group: Literal["", "left", "right"] = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BinaryOperation:
    op: str
    left: Metric
    right: Metric
    returns_bool: bool = False
    matching: Matching = Matching()


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class VectorLiteral:
    value: float


@dataclass(frozen=True, slots=True)
class LabelReplace:
    inner: Metric
    target: str
    replacement: str
    source: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Variants:
    """`variants(...) of (...)`: read, but refused by the evaluator as Loki refuses it unless it is switched on."""

    metrics: tuple[Metric, ...]
    range: LogRange


Metric = RangeAggregation | VectorAggregation | BinaryOperation | Number | VectorLiteral | LabelReplace
Expr = Logs | RangeAggregation | VectorAggregation | BinaryOperation | Number | VectorLiteral | LabelReplace | Variants
