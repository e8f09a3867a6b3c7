"""The LogQL of push-down, built as trees: what a service or a trace is called is data and stays one string literal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from incidentlens.logql import ast, parse_logs, to_text

LEVEL = "detected_level"
FAILING = "error|fatal|critical"

# Said of failure whatever the level says, and the lines that continue a stack trace, each of which has its own level.
_STRONG = (
    r"(?i:oom-?_?kill|out of memory|outofmemory|stack ?overflow|kernel panic|panic:|segmentation fault|segfault|"
    r"core dumped|sigsegv|sigabrt|killed process|crash ?loop ?back ?off|imagepullbackoff|errimagepull|evicted|"
    r"data loss|corrupt|no space left|disk full|probe failed|back-off restarting|traceback|unhandled|uncaught|deadlock)"
    r"|[A-Za-z](?:Exception|Error)(?:: | at |\)|$)"
    r"|^\s+at \S|^Caused by: |^\s+(?:Suppressed: |\.\.\. \d+ more|File \")|^goroutine \d+ "
)
# Of lines to which Loki gave no level: ordinary words of failure, and the status of a failed request.
_ORDINARY = (
    r"(?i:\b(?:errors?|err|fatal|crit|critical|severe|emerg|alert|fail(?:ed|ures?|ing)?|exception|unable to|cannot|"
    r"can't|could ?n[o']t|refused|denied|timed[ -]?out|time-?out|unreachable|unavailable|invalid|unexpected|exhausted|"
    r"exceeded|aborted|broken pipe|connection reset|rejected|crash(?:ed|ing)?|panic|undefined)\b)"
    r"|\s5\d\d\s|^[EF]\d{4} |status\"?[=:] ?\"?5\d\d"
)

_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
_TRACE_LABELS = ("trace_id", "traceId", "traceID")

Group = tuple[
    tuple[str, str], ...
]  # label and value, as Loki grouped them; an empty value is a label that is not there


def _label(name: str, op: ast.MatchOp, value: str) -> ast.LabelFilter:
    return ast.LabelFilter(ast.StringFilter(ast.Matcher(name, op, value)))


def _first(logs: ast.Logs, *stages: ast.Stage) -> ast.Logs:
    return replace(logs, stages=(*stages, *logs.stages))


def failing(query: str) -> str:
    """The query's lines that Loki found to be failing."""
    return to_text(_first(parse_logs(query), _label(LEVEL, "=~", FAILING)))


def said(query: str) -> tuple[str, str]:
    """Its other lines that speak of failure: those to which Loki gave a level, and those to which it gave none."""
    logs = parse_logs(query)
    strong = ast.LineFilter("|~", (ast.LinePattern(_STRONG),))
    either = ast.LineFilter("|~", (ast.LinePattern(f"{_STRONG}|{_ORDINARY}"),))
    levelled = _first(logs, strong, _label(LEVEL, "!~", f"({FAILING}|unknown)?"))
    return to_text(levelled), to_text(_first(logs, either, _label(LEVEL, "=~", "(unknown)?")))


def warnings(query: str) -> str:
    """Its warnings."""
    return to_text(_first(parse_logs(query), _label(LEVEL, "=~", "warn|warning")))


def of(query: str, group: Group) -> str:
    """The query's lines of one group only. As filters at the end: a pipeline may have made the label."""
    logs = parse_logs(query)
    return to_text(replace(logs, stages=(*logs.stages, *(_label(name, "=", value) for name, value in group))))


def without(query: str, groups: Sequence[Group]) -> str:
    """The query's lines of all but these groups."""
    logs = parse_logs(query)
    stages: list[ast.Stage] = []
    for group in groups:
        others: ast.AnyLabelFilter | None = None
        for name, value in group:
            differs = ast.StringFilter(ast.Matcher(name, "!=", value))
            others = differs if others is None else ast.EitherFilter(others, differs)
        if others is not None:
            stages.append(ast.LabelFilter(others))
    return to_text(replace(logs, stages=(*logs.stages, *stages)))


def traces(query: str, ids: Iterable[str]) -> tuple[str, str]:
    """The query's lines that name these traces, and those whose metadata do (and the line does not).

    Failing ones are left out: they are read anyway. The ids are data, and letters, digits and `-` only.
    """
    wanted = tuple(one for one in ids if _ID.fullmatch(one))
    logs, patterns = parse_logs(query), tuple(ast.LinePattern(one) for one in wanted)
    either: ast.AnyLabelFilter = ast.StringFilter(ast.Matcher(_TRACE_LABELS[0], "=~", "|".join(wanted)))
    for name in _TRACE_LABELS[1:]:
        either = ast.EitherFilter(either, ast.StringFilter(ast.Matcher(name, "=~", "|".join(wanted))))
    others = _label(LEVEL, "!~", FAILING)
    by_metadata = _first(logs, *(ast.LineFilter("!=", (one,)) for one in patterns), others, ast.LabelFilter(either))
    return to_text(_first(logs, ast.LineFilter("|=", patterns), others)), to_text(by_metadata)


def counted(query: str, range_ns: int, by: Sequence[str]) -> str:
    """How many lines, a group. A line that a parser cannot read would fail the whole query, so it is left out."""
    logs = parse_logs(query)
    if any(not isinstance(stage, (ast.LineFilter, ast.LabelFilter)) for stage in logs.stages):
        logs = replace(logs, stages=(*logs.stages, _label("__error__", "=", "")))
    return _sum("count_over_time", logs, range_ns, by)


def volume(query: str, range_ns: int) -> str:
    """Bytes of the streams that the query reads from, its pipeline left out."""
    return _sum("bytes_over_time", ast.Logs(parse_logs(query).matchers), range_ns, ())


def _sum(operation: str, logs: ast.Logs, range_ns: int, by: Sequence[str]) -> str:
    inner = ast.RangeAggregation(operation, ast.LogRange(logs, max(1_000_000, range_ns - range_ns % 1_000_000)))
    return to_text(ast.VectorAggregation("sum", inner, grouping=ast.Grouping(tuple(by))))


def group_of(labels: Mapping[str, str], names: Sequence[str]) -> Group:
    """The group of a series."""
    return tuple((name, str(labels.get(name, ""))) for name in names)
