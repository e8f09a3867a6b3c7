"""The LogQL of rules, built as trees: a runbook's pattern or a glob is data and stays one string literal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from incidentlens.logql import ast, parse_logs, to_text
from incidentlens.model.clock import HOUR
from incidentlens.verification.query import quote_regex

# Loki's own names of levels. A line without a level counts as no failure here: detection, which reads it, decides.
_FAILING = "error|fatal|critical"
_NO_ERROR = ast.LabelFilter(ast.StringFilter(ast.Matcher("__error__", "=", "")))
USUAL = HOUR  # what rules compare with


def matching(query: str, patterns: Sequence[str]) -> ast.Logs:
    """The query's lines that hold any of the patterns (RE2, without regard to case), looked at as they stand."""
    stage = ast.LineFilter("|~", tuple(ast.LinePattern(f"(?i){pattern}") for pattern in patterns))
    return _first(parse_logs(query), stage)


def failing(query: str) -> ast.Logs:
    """The query's lines that Loki found to be of level error, fatal or critical."""
    level = ast.LabelFilter(ast.StringFilter(ast.Matcher("detected_level", "=~", _FAILING)))
    return _first(parse_logs(query), level)


def fitting(logs: ast.Logs, services: Sequence[str], labels: Mapping[str, str], service_label: str) -> ast.Logs:
    """Only of these services and with these labels; both are globs, without regard to case.

    As filters at the end, not in the selector: a service may be named by a label that the pipeline makes.
    """
    wanted = [(service_label, services)] if services else []
    wanted += [(name, [glob]) for name, glob in sorted(labels.items())]
    stages = [
        ast.LabelFilter(ast.StringFilter(ast.Matcher(name, "=~", f"(?i)({'|'.join(map(glob_regex, globs))})")))
        for name, globs in wanted
    ]
    return replace(logs, stages=(*logs.stages, *stages))


def count(logs: ast.Logs, range_ns: int, by: str | None, offset_ns: int = 0) -> ast.Metric:
    """Lines in the range (ns), by one label or in all. A line that a parser cannot read would fail the whole query."""
    if any(not isinstance(stage, (ast.LineFilter, ast.LabelFilter)) for stage in logs.stages):
        logs = replace(logs, stages=(*logs.stages, _NO_ERROR))
    counted = ast.RangeAggregation("count_over_time", ast.LogRange(logs, range_ns, offset_ns))
    return ast.VectorAggregation("sum", counted, grouping=ast.Grouping((by,) if by else ()))


def threshold(logs: ast.Logs, at_least: int, range_ns: int, by: str) -> str:
    """Services with so many lines in the range."""
    return to_text(_at_least(count(logs, range_ns, by), at_least))


def spike(query: str, window_ns: int, ratio: float, at_least: int, by: str) -> str:
    """Services whose failing lines in the window are many, and more than `ratio` times those of the hour before it.

    A service that had none in that hour is in; the comparison takes out those that always fail that often.
    """
    logs = failing(query)
    now = _at_least(count(logs, window_ns, by), at_least)
    usual = ast.BinaryOperation("*", count(logs, USUAL, by, window_ns), ast.Number(ratio * window_ns / USUAL))
    ordinary = ast.BinaryOperation("<=", count(logs, window_ns, by), usual)
    return to_text(ast.BinaryOperation("unless", now, ordinary))


def silence(query: str, window_ns: int, before: int, by: str) -> str:
    """Services that wrote at least `before` lines in the hour before the window and none in it, while others write.

    The value is the lines of that hour, so an hour after the last line the alert ends by itself.
    """
    logs = parse_logs(query)
    wrote = _at_least(count(logs, USUAL, by, window_ns), before)
    gone = ast.BinaryOperation("unless", wrote, count(logs, window_ns, by))
    others = ast.BinaryOperation(">", count(logs, window_ns, None), ast.Number(0))
    return to_text(ast.BinaryOperation("and", gone, others, matching=ast.Matching(on=True, explicit=True)))


def silent_altogether(query: str, window_ns: int, before: int) -> str:
    """The same of the whole query: nobody writes any more, or nothing is shipped."""
    logs = parse_logs(query)
    wrote = _at_least(count(logs, USUAL, None, window_ns), before)
    return to_text(ast.BinaryOperation("unless", wrote, count(logs, window_ns, None)))


def series(logs: ast.Logs, range_ns: int, by: str) -> str:
    """Lines by service in the range, for a recording rule."""
    return to_text(count(logs, range_ns, by))


def lines(query: str) -> ast.Logs:
    """All lines of a query."""
    return parse_logs(query)


def glob_regex(glob: str) -> str:
    """A shell glob (`*`, `?`, `[ab]`, `[!ab]`) as an RE2 expression for a whole value."""
    out: list[str] = []
    rest = glob
    while rest:
        char, rest = rest[0], rest[1:]
        if char == "*":
            out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[" and (end := rest.find("]", 2 if rest[:1] == "!" else 1)) > 0:
            inside, rest = rest[:end], rest[end + 1 :]
            negated = inside[0] == "!"
            out.append(f"[{'^' if negated else ''}{_escaped(inside[negated:])}]")
        else:
            out.append(quote_regex(char))
    return "".join(out)


def _escaped(members: Iterable[str]) -> str:
    return "".join(f"\\{char}" if char in "\\[]^&" else char for char in members)


def _first(logs: ast.Logs, stage: ast.Stage) -> ast.Logs:
    return replace(logs, stages=(stage, *logs.stages))


def _at_least(metric: ast.Metric, number: float) -> ast.Metric:
    return ast.BinaryOperation(">=", metric, ast.Number(number))
