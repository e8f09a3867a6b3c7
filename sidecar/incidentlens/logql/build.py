"""Turns what the grammar finds into the tree of `ast`, with Loki's own checks of what is allowed together."""

from __future__ import annotations

from typing import Any

from . import ast
from .chains import Broken, Chain, join, ordered, ordered_filter
from .errors import LogQLError
from .lexer import Token
from .patterns import compile_parser_pattern, compile_parser_regexp
from .regex import anchored, compile_re2
from .units import UnitError, parse_float

GROUPED_RANGE_OPS = frozenset(
    f"{name}_over_time" for name in ("avg", "stddev", "stdvar", "quantile", "max", "min", "first", "last")
)
UNWRAP_RANGE_OPS = GROUPED_RANGE_OPS | {"sum_over_time", "rate", "rate_counter", "absent_over_time"}
LINE_RANGE_OPS = frozenset({"bytes_over_time", "bytes_rate", "count_over_time", "rate", "absent_over_time"})
_COMPARE = {"EQ": "==", "CMP_EQ": "==", "NEQ": "!=", "GT": ">", "GTE": ">=", "LT": "<", "LTE": "<="}


def _token(child: Any) -> Token:
    value = child.value
    assert isinstance(value, Token)
    return value


def _text(child: Any) -> str:
    return str(_token(child).value)


class Builder:
    """One method a rule of the grammar; each gets the rule's parts in order."""

    def same(self, parts: list[Any]) -> Any:
        return parts[0]

    def second(self, parts: list[Any]) -> Any:
        return parts[1]

    def first_item(self, parts: list[Any]) -> list[Any]:
        return [_text(parts[0])] if hasattr(parts[0], "value") and isinstance(parts[0].value, Token) else [parts[0]]

    def next_item(self, parts: list[Any]) -> list[Any]:
        return parts[0] + self.first_item(parts[2:])  # type: ignore[no-any-return]

    def next_stage(self, parts: list[Any]) -> list[Any]:
        return parts[0] + self.first_item(parts[1:])  # type: ignore[no-any-return]

    def nothing(self, parts: list[Any]) -> list[Any]:
        return []

    def word(self, parts: list[Any]) -> str:
        return _text(parts[0])

    # Selectors and pipelines

    def matcher(self, parts: list[Any]) -> ast.Matcher:
        name, op, value = map(_text, parts)
        matcher = ast.Matcher(name, op, value)  # type: ignore[arg-type]
        if op in ("=~", "!~"):
            anchored(value)
        return matcher

    def logs(self, parts: list[Any]) -> ast.Logs:
        return ast.Logs(tuple(parts[0]), _flatten(parts[1]) if len(parts) > 1 else ())

    def line_pattern(self, parts: list[Any]) -> list[ast.LinePattern]:
        return [ast.LinePattern(_text(parts[0]))]

    def line_patterns(self, parts: list[Any]) -> list[ast.LinePattern]:
        return [ast.LinePattern(_text(parts[0])), *parts[2]]

    def line_ip(self, parts: list[Any]) -> list[ast.LinePattern]:
        return [ast.LinePattern(_text(parts[2]), ip=True)]

    def line_filter(self, parts: list[Any]) -> tuple[str, list[ast.LinePattern]]:
        return parts[0], [ast.LinePattern(_text(parts[1]))]

    def line_filter_ip(self, parts: list[Any]) -> tuple[str, list[ast.LinePattern]]:
        return parts[0], [ast.LinePattern(_text(parts[3]), ip=True)]

    def line_filter_or(self, parts: list[Any]) -> tuple[str, list[ast.LinePattern]]:
        op, patterns = parts[0]
        return op, patterns + parts[2]

    def label_filter_stage(self, parts: list[Any]) -> ast.LabelFilter:
        return ast.LabelFilter(ordered_filter(parts[1]))

    def json(self, parts: list[Any]) -> ast.Json:
        return ast.Json(tuple(parts[1]) if len(parts) > 1 else ())

    def logfmt(self, parts: list[Any]) -> ast.Logfmt:
        flags = parts[1] if len(parts) > 1 else []
        return ast.Logfmt(tuple(parts[2]) if len(parts) > 2 else (), "--strict" in flags, "--keep-empty" in flags)

    def logfmt_plain(self, parts: list[Any]) -> ast.Logfmt:
        return ast.Logfmt(tuple(parts[1]))

    def regexp(self, parts: list[Any]) -> ast.Regexp:
        try:
            compile_parser_regexp(_text(parts[1]))
        except LogQLError as error:
            raise LogQLError(f"invalid regexp parser: {error.message}", hint=error.hint) from None
        return ast.Regexp(_text(parts[1]))

    def pattern(self, parts: list[Any]) -> ast.Pattern:
        try:
            compile_parser_pattern(_text(parts[1]))
        except LogQLError as error:
            raise LogQLError(f"invalid pattern parser: {error.message}", hint=error.hint) from None
        return ast.Pattern(_text(parts[1]))

    def unpack(self, parts: list[Any]) -> ast.Unpack:
        return ast.Unpack()

    def decolorize(self, parts: list[Any]) -> ast.Decolorize:
        return ast.Decolorize()

    def line_format(self, parts: list[Any]) -> ast.LineFormat:
        return ast.LineFormat(_text(parts[1]))

    def rename(self, parts: list[Any]) -> ast.LabelAssignment:
        return ast.LabelAssignment(_text(parts[0]), _text(parts[2]), rename=True)

    def assign(self, parts: list[Any]) -> ast.LabelAssignment:
        return ast.LabelAssignment(_text(parts[0]), _text(parts[2]), rename=False)

    def label_format(self, parts: list[Any]) -> ast.LabelFormat:
        return ast.LabelFormat(tuple(parts[1]))

    def extraction(self, parts: list[Any]) -> ast.Extraction:
        return ast.Extraction(_text(parts[0]), _text(parts[-1]))

    def drop(self, parts: list[Any]) -> ast.Drop:
        return ast.Drop(tuple(parts[1]))

    def keep(self, parts: list[Any]) -> ast.Keep:
        return ast.Keep(tuple(parts[1]))

    # Label filters

    def string_filter(self, parts: list[Any]) -> ast.StringFilter:
        return ast.StringFilter(parts[0])

    def ip_filter(self, parts: list[Any]) -> ast.IpFilter:
        return ast.IpFilter(_text(parts[0]), _text(parts[1]), _text(parts[4]))  # type: ignore[arg-type]

    def duration_filter(self, parts: list[Any]) -> ast.DurationFilter:
        return ast.DurationFilter(_text(parts[0]), _COMPARE[parts[1].type], _token(parts[2]).value)  # type: ignore[arg-type]

    def bytes_filter(self, parts: list[Any]) -> ast.BytesFilter:
        return ast.BytesFilter(_text(parts[0]), _COMPARE[parts[1].type], _token(parts[2]).value)  # type: ignore[arg-type]

    def number_filter(self, parts: list[Any]) -> ast.NumberFilter:
        value = parts[2].value if isinstance(parts[2], ast.Number) else 0.0
        return ast.NumberFilter(_text(parts[0]), _COMPARE[parts[1].type], value)  # type: ignore[arg-type]

    def grouped_filter(self, parts: list[Any]) -> ast.AnyLabelFilter:
        return ordered_filter(parts[1])

    def filter_chain(self, parts: list[Any]) -> Chain:
        operator = parts[1].type.lower() if len(parts) == 3 else ""
        return join(parts[0], operator, parts[-1])

    # Ranges and aggregations

    def unwrap(self, parts: list[Any]) -> ast.Unwrap:
        return ast.Unwrap(_text(parts[2]))

    def unwrap_converted(self, parts: list[Any]) -> ast.Unwrap:
        return ast.Unwrap(_text(parts[4]), parts[2].lower())

    def unwrap_filtered(self, parts: list[Any]) -> ast.Unwrap:
        unwrap = parts[0]
        return ast.Unwrap(unwrap.label, unwrap.conversion, (*unwrap.filters, ordered_filter(parts[2])))

    def offset(self, parts: list[Any]) -> tuple[str, int]:
        return "offset", int(_token(parts[1]).value)

    def log_range(self, parts: list[Any]) -> ast.LogRange:
        matchers: list[ast.Matcher] | None = None
        stages: tuple[ast.Stage, ...] = ()
        range_ns = offset_ns = 0
        unwrap = None
        for part in parts:
            if isinstance(part, ast.Unwrap):
                unwrap = part
            elif isinstance(part, tuple):
                offset_ns = part[1]
            elif isinstance(part, list):
                if matchers is None:
                    matchers = part
                else:
                    stages = _flatten(part)
            elif _token(part).kind == "RANGE":
                range_ns = int(_token(part).value)
        return ast.LogRange(ast.Logs(tuple(matchers or ()), stages), range_ns, offset_ns, unwrap)

    def grouping(self, parts: list[Any]) -> ast.Grouping:
        labels = tuple(parts[2]) if isinstance(parts[2], list) else ()
        return ast.Grouping(labels, parts[0].type == "WITHOUT")

    def range_aggregation(self, parts: list[Any]) -> ast.RangeAggregation | Broken:
        op = parts[0].lower()
        log_range = next(part for part in parts if isinstance(part, ast.LogRange))
        grouping = parts[-1] if isinstance(parts[-1], ast.Grouping) else None
        parameter: float | None = None
        written = _text(parts[2]) if getattr(parts[2], "type", "") == "NUMBER" else None
        if written is not None:
            if op != "quantile_over_time":
                return Broken(LogQLError(f"parameter {written} not supported for operation {op}"))
            try:
                parameter = parse_float(written)
            except UnitError as error:
                return Broken(LogQLError(f"invalid parameter for operation {op}: {error}"))
        elif op == "quantile_over_time":
            return Broken(LogQLError(f"parameter required for operation {op}", hint="quantile_over_time(0.99, ...)"))
        if grouping is not None and op not in GROUPED_RANGE_OPS:
            hint = f"group outside: sum by (...) ({op}(...))"
            return Broken(LogQLError(f"grouping not allowed for {op} aggregation", hint=hint))
        if log_range.unwrap is not None and op not in UNWRAP_RANGE_OPS:
            return Broken(LogQLError(f"invalid aggregation {op} with unwrap", hint="leave `unwrap` out"))
        if log_range.unwrap is None and op not in LINE_RANGE_OPS:
            hint = "add `| unwrap LABEL` before the range"
            return Broken(LogQLError(f"invalid aggregation {op} without unwrap", hint=hint))
        return ast.RangeAggregation(op, log_range, parameter, grouping)

    def vector_aggregation(self, parts: list[Any]) -> ast.VectorAggregation | Broken:
        op = parts[0].lower()
        grouping = next((part for part in parts if isinstance(part, ast.Grouping)), None)
        numbers = [_text(part) for part in parts[1:] if getattr(part, "type", "") == "NUMBER"]
        inner = ordered(next(part for part in parts[1:] if _is_metric(part)))
        parameter = 0
        if op in ("topk", "bottomk", "approx_topk"):
            if not numbers:
                return Broken(LogQLError(f"parameter required for operation {op}", hint=f"{op}(10, ...)"))
            if not numbers[0].isascii() or not numbers[0].isdecimal() or len(numbers[0]) > 18:
                return Broken(LogQLError(f"invalid parameter {op}({numbers[0]},", hint="a whole number from 1"))
            parameter = int(numbers[0])
            if parameter <= 0:
                return Broken(LogQLError(f"invalid parameter (must be greater than 0) {op}({numbers[0]}"))
            if op == "approx_topk" and grouping is not None:
                return Broken(LogQLError(f"grouping not allowed for {op} aggregation"))
        elif numbers:
            return Broken(LogQLError(f"unsupported parameter for operation {op}({numbers[0]},"))
        return ast.VectorAggregation(op, inner, parameter, grouping or ast.Grouping(()))

    def label_replace(self, parts: list[Any]) -> ast.LabelReplace | Broken:
        texts = [_text(part) for part in parts[4:11:2]]
        try:
            compile_re2(f"^(?:{texts[3]})$")
        except LogQLError as error:
            return Broken(LogQLError(f"invalid regex in label_replace: {error.message}", hint=error.hint))
        return ast.LabelReplace(ordered(parts[2]), *texts)

    def variants(self, parts: list[Any]) -> ast.Variants:
        return ast.Variants(tuple(ordered(metric) for metric in parts[2]), parts[6])

    # Arithmetic

    def number(self, parts: list[Any]) -> ast.Number | Broken:
        return _number(_text(parts[0]), 1)

    def signed(self, parts: list[Any]) -> ast.Number | Broken:
        return _number(_text(parts[1]), -1 if parts[0].type == "SUB" else 1)

    def vector_literal(self, parts: list[Any]) -> ast.VectorLiteral | Broken:
        try:
            return ast.VectorLiteral(parse_float(_text(parts[2])))
        except UnitError as error:
            return Broken(LogQLError(f"unable to parse vectorExpr as a float: {error}"))

    def plain(self, parts: list[Any]) -> tuple[bool, ast.Matching]:
        return False, ast.Matching()

    def bool(self, parts: list[Any]) -> tuple[bool, ast.Matching]:
        return True, ast.Matching()

    def matching(self, parts: list[Any]) -> tuple[Any, ast.Matching]:
        labels = tuple(parts[3]) if isinstance(parts[3], list) else ()
        on = parts[1].type == "ON"
        return parts[0][0], ast.Matching(on, labels, explicit=on or bool_of(labels))

    def group(self, parts: list[Any]) -> tuple[Any, ast.Matching]:
        returns_bool, matching = parts[0]
        include = tuple(parts[3]) if len(parts) > 4 else ()
        side = "left" if parts[1].type == "GROUP_LEFT" else "right"
        return returns_bool, ast.Matching(matching.on, matching.labels, matching.explicit, side, include)  # type: ignore[arg-type]

    def operation(self, parts: list[Any]) -> Chain:
        returns_bool, matching = parts[2]
        return join(parts[0], (_text(parts[1]).lower(), returns_bool, matching), parts[3])

    def parenthesised(self, parts: list[Any]) -> Any:
        return ordered(parts[1])

    def root(self, parts: list[Any]) -> Any:
        return ordered(parts[0])


def bool_of(labels: tuple[str, ...]) -> bool:
    """`ignoring ()` says nothing and is not kept."""
    return len(labels) > 0


def _is_metric(part: Any) -> bool:
    return isinstance(part, (Chain, Broken)) or (
        hasattr(part, "__dataclass_fields__") and not isinstance(part, ast.Grouping)
    )


def _number(text: str, sign: int) -> ast.Number | Broken:
    try:
        return ast.Number(sign * parse_float(text))
    except UnitError as error:
        return Broken(LogQLError(f"unable to parse literal as a float: {error}"))


def _flatten(stages: list[Any]) -> tuple[ast.Stage, ...]:
    """Take groups of line filters apart; `!= "a" or "b"` is `!= "a" != "b"`."""
    out: list[ast.Stage] = []
    for stage in stages:
        if not isinstance(stage, list):
            out.append(stage)
            continue
        for op, patterns in stage:
            if op[0] == "!":
                out.extend(ast.LineFilter(op, (pattern,)) for pattern in patterns)
            else:
                out.append(ast.LineFilter(op, tuple(patterns)))
    return tuple(out)
