"""Writes a tree back as text: on one line, and laid out as Loki's `format_query` lays it out.

What is written parses back to the same tree. Where Loki's own printer loses something (rounded sizes, parentheses
around long operands, alternatives of a line filter) this one keeps it.
"""

from __future__ import annotations

import math
from typing import Any

from . import ast
from .chains import PRECEDENCE
from .regex import simplified
from .units import (
    UnitError,
    format_bytes,
    format_float,
    format_general,
    format_go_duration,
    format_prometheus_duration,
    parse_bytes,
    quote,
)

MAX_LINE = 100


def to_text(expr: ast.Expr) -> str:
    """Write a query on one line."""
    return _Line().expr(expr)


def pretty(expr: ast.Expr) -> str:
    """Write a query laid out over lines of about 100 characters."""
    return _Pretty().expr(expr, 0)


def matcher_text(matcher: ast.Matcher) -> str:
    """Write one matcher, as in a selector."""
    return f"{matcher.name}{matcher.op}{quote(matcher.value)}"


def selector_text(matchers: tuple[ast.Matcher, ...]) -> str:
    return "{" + ", ".join(map(matcher_text, matchers)) + "}"


def filter_text(found: ast.AnyLabelFilter) -> str:
    """Write a label filter, without its pipe."""
    if isinstance(found, ast.StringFilter):
        matcher = found.matcher
        if matcher.op == "=~" and "`" not in matcher.value and simplified(matcher.value) is None:
            return f"{matcher.name}=~`{matcher.value}`"
        return matcher_text(matcher)
    if isinstance(found, ast.IpFilter):
        return f"{found.name}{found.op}ip({quote(found.pattern)})"
    if isinstance(found, ast.BothFilter):
        return f"( {filter_text(found.left)} , {filter_text(found.right)} )"
    if isinstance(found, ast.EitherFilter):
        return f"( {filter_text(found.left)} or {filter_text(found.right)} )"
    if isinstance(found, ast.DurationFilter):
        value = format_go_duration(found.value)
    elif isinstance(found, ast.BytesFilter):
        value = _size(found.value)
    else:
        value = _number(found.value)
    return f"{found.name}{found.op}{value}"


def _size(value: int) -> str:
    short = format_bytes(value)
    try:
        return short if parse_bytes(short) == value else f"{value}B"
    except UnitError:
        return f"{value}B"


def _number(value: float) -> str:
    return format_float(value)


def stage_text(stage: ast.Stage) -> str:
    """Write one stage of a pipeline."""
    if isinstance(stage, ast.LineFilter):
        parts = " or ".join(f"ip({quote(one.text)})" if one.ip else quote(one.text) for one in stage.patterns)
        return f"{stage.op} {parts}"
    return f"| {_stage_body(stage)}"


def writable(stages: tuple[ast.Stage, ...]) -> tuple[ast.Stage, ...]:
    """Put stages into an order that can be written: `drop x` and `!= "y"` would read as `drop x!="y"`.

    The line filter goes first then, which means the same: neither looks at what the other changes.
    """
    out: list[ast.Stage] = []
    for stage in stages:
        at = len(out)
        if isinstance(stage, ast.LineFilter) and stage.op in ("!=", "!~"):
            while at and isinstance(before := out[at - 1], (ast.Drop, ast.Keep)) and isinstance(before.labels[-1], str):
                at -= 1
        out.insert(at, stage)
    return tuple(out)


def _fields(fields: tuple[ast.Extraction, ...]) -> str:
    return ",".join(f"{one.name}={quote(one.expression)}" for one in fields)


def _stage_body(stage: ast.Stage) -> str:
    if isinstance(stage, ast.LabelFilter):
        return filter_text(stage.filter)
    if isinstance(stage, ast.Json):
        return f"json {_fields(stage.fields)}".rstrip()
    if isinstance(stage, ast.Logfmt):
        flags = (" --strict" if stage.strict else "") + (" --keep-empty" if stage.keep_empty else "")
        return f"logfmt{flags} {_fields(stage.fields)}".rstrip()
    if isinstance(stage, ast.Pattern):
        return f"pattern {quote(stage.expression)}"
    if isinstance(stage, ast.Regexp):
        return f"regexp {quote(stage.expression)}"
    if isinstance(stage, ast.LineFormat):
        return f"line_format {quote(stage.template)}"
    if isinstance(stage, ast.LabelFormat):
        written = (f"{one.name}={one.value if one.rename else quote(one.value)}" for one in stage.assignments)
        return f"label_format {','.join(written)}"
    if isinstance(stage, (ast.Drop, ast.Keep)):
        names = (one if isinstance(one, str) else matcher_text(one) for one in stage.labels)
        return f"{'drop' if isinstance(stage, ast.Drop) else 'keep'} {','.join(names)}"
    return "unpack" if isinstance(stage, ast.Unpack) else "decolorize"


def _duration(ns: int) -> str:
    return format_prometheus_duration(ns)


def _unwrap(unwrap: ast.Unwrap) -> str:
    label = f"{unwrap.conversion}({unwrap.label})" if unwrap.conversion else unwrap.label
    return f"| unwrap {label}"


def _grouping(grouping: ast.Grouping, comma: str) -> str:
    return f" {'without' if grouping.without else 'by'} ({comma.join(grouping.labels)})"


def _operator(node: ast.BinaryOperation, comma: str) -> str:
    matching = node.matching
    text = node.op + (" bool" if node.returns_bool else "")
    group = f"group_{matching.group}" if matching.group else ""
    if matching.include:
        group += f" ({comma.join(matching.include)})"
    if matching.on or matching.labels or group:
        text += f" {'on' if matching.on else 'ignoring'} ({comma.join(matching.labels)}) {group}"
    return text


class _Line:
    """One line, as Loki's `String()`: every binary operation in parentheses."""

    def expr(self, node: Any) -> str:
        if isinstance(node, ast.Logs):
            return " ".join((selector_text(node.matchers), *map(stage_text, writable(node.stages))))
        if isinstance(node, ast.RangeAggregation):
            parameter = "" if node.parameter is None else f"{_number(node.parameter)},"
            grouping = _grouping(node.grouping, ",") if node.grouping else ""
            return f"{node.op}({parameter}{self.range(node.range)}){grouping}"
        if isinstance(node, ast.VectorAggregation):
            grouping = "" if node.grouping == ast.Grouping(()) else _grouping(node.grouping, ",")
            parameter = f"{node.parameter}," if node.parameter else ""
            return f"{node.op}{grouping}({parameter}{self.expr(node.inner)})"
        if isinstance(node, ast.BinaryOperation):
            return f"({self.expr(node.left)} {_operator(node, ',')} {self.expr(node.right)})"
        if isinstance(node, ast.Number):
            return _literal(node.value)
        if isinstance(node, ast.VectorLiteral):
            return f"vector({_vector_number(node.value)})"
        if isinstance(node, ast.LabelReplace):
            texts = ",".join(map(quote, (node.target, node.replacement, node.source, node.pattern)))
            return f"label_replace({self.expr(node.inner)},{texts})"
        assert isinstance(node, ast.Variants)
        return f"variants({', '.join(map(self.expr, node.metrics))}) of ({self.range(node.range)})"

    def range(self, node: ast.LogRange) -> str:
        text = self.expr(node.logs)
        if node.unwrap is not None:
            text += " " + " | ".join((_unwrap(node.unwrap), *map(filter_text, node.unwrap.filters)))
        text += f"[{_duration(node.range_ns)}]"
        return f"{text} offset {format_go_duration(node.offset_ns)}" if node.offset_ns else text


def _literal(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return format_general(value)


def _vector_number(value: float) -> str:
    short = f"{value:f}"
    return short if float(short) == value else format_float(value)


class _Pretty(_Line):
    """Laid out: what is longer than a line is broken, and each level indented by two spaces."""

    def expr(self, node: Any, level: int = 0) -> str:
        indent = "  " * level
        line = _Line().expr(node)
        if isinstance(node, ast.Variants):
            body = ",\n".join(self.expr(metric, level + 1) for metric in node.metrics)
            return f"{indent}variants(\n{body}\n{indent}) of (\n{self._range(node.range, level + 1)}\n{indent})"
        if len(line.encode()) <= MAX_LINE:
            return indent + line
        if isinstance(node, ast.Logs):
            return "\n".join((indent + selector_text(node.matchers), *self._stages(writable(node.stages), level + 1)))
        if isinstance(node, ast.RangeAggregation):
            parameter = "" if node.parameter is None else f"{'  ' * (level + 1)}{_literal(node.parameter)},\n"
            grouping = _grouping(node.grouping, ", ") if node.grouping else ""
            return f"{indent}{node.op}(\n{parameter}{self._range(node.range, level + 1)}\n{indent}){grouping}"
        if isinstance(node, ast.VectorAggregation):
            parameter = f"{'  ' * (level + 1)}{node.parameter},\n" if node.parameter else ""
            grouping = _grouping_after(node.grouping)
            return f"{indent}{node.op}{grouping}(\n{parameter}{self.expr(node.inner, level + 1)}\n{indent})"
        if isinstance(node, ast.BinaryOperation):
            left = self._operand(node.left, node, level + 1, right=False)
            right = self._operand(node.right, node, level + 1, right=True)
            return f"{left}\n{indent}{_operator(node, ', ')}\n{right}"
        if isinstance(node, ast.LabelReplace):
            inner = "  " * (level + 1)
            texts = [inner + quote(one) for one in (node.target, node.replacement, node.source, node.pattern)]
            body = ",\n".join((self.expr(node.inner, level + 1), *texts))
            return f"{indent}label_replace(\n{body}\n{indent})"
        return indent + line

    def _operand(self, node: Any, parent: ast.BinaryOperation, level: int, *, right: bool) -> str:
        text = self.expr(node, level)
        if not isinstance(node, ast.BinaryOperation) or text.startswith("  " * level + "("):
            return text
        inner, outer = PRECEDENCE[node.op], PRECEDENCE[parent.op]
        loose = inner < outer or (inner == outer and right != (parent.op == "^"))
        return f"{'  ' * level}(\n{text}\n{'  ' * level})" if loose else text

    def _stages(self, stages: tuple[ast.Stage, ...], level: int) -> list[str]:
        """One stage a line; neighbouring line filters share one where they fit."""
        indent = "  " * level
        out: list[str] = []
        run: list[str] = []
        for stage in (*stages, None):
            if isinstance(stage, ast.LineFilter):
                run.append(stage_text(stage))
                continue
            if run:
                last: list[str] = []
                while len(" ".join(run).encode()) > MAX_LINE and len(run) > 1:
                    last.append(indent + run.pop())
                out.extend([indent + " ".join(run), *reversed(last)])
                run = []
            if stage is not None:
                out.append(stage_text(stage) if isinstance(stage, ast.Decolorize) else indent + stage_text(stage))
        return out

    def _range(self, node: ast.LogRange, level: int) -> str:
        text = self.expr(node.logs, level)
        if node.unwrap is not None:
            indent = "  " * (level + 1)
            text += f"\n{indent}{_unwrap(node.unwrap)}"
            text += "".join(f"\n{indent}| {filter_text(one)}" for one in node.unwrap.filters)
        text += f" [{_duration(node.range_ns)}]"
        return f"{text} offset {_offset(node.offset_ns)}" if node.offset_ns else text


def _offset(ns: int) -> str:
    """Loki writes `-1h` and `5m`; what that cannot say exactly is written as Go does."""
    return format_prometheus_duration(ns) if ns % 1_000_000 == 0 else format_go_duration(ns)


def _grouping_after(grouping: ast.Grouping) -> str:
    if not grouping.labels:
        return " without ()" if grouping.without else ""
    return _grouping(grouping, ", ")
