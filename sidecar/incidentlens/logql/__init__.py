"""LogQL: a grammar, a printer, checks, and an evaluator over any source of logs."""

from __future__ import annotations

from .edit import (
    add_line_filter,
    check,
    count_over,
    is_metric,
    matchers_of,
    selector,
    selector_of,
    with_matcher,
)
from .errors import LimitError, LogQLError, PipelineError, QueryError
from .evaluate import Limits, evaluate_instant, evaluate_logs, evaluate_range
from .parse import parse, parse_logs
from .printer import pretty, to_text
from .results import Matrix, Scalar, Streams, Vector, response
from .source import Entry, Matcher, Source, Stream
from .units import quote

__all__ = [
    "Entry",
    "LimitError",
    "Limits",
    "LogQLError",
    "Matcher",
    "Matrix",
    "PipelineError",
    "QueryError",
    "Scalar",
    "Source",
    "Stream",
    "Streams",
    "Vector",
    "add_line_filter",
    "check",
    "count_over",
    "evaluate_instant",
    "evaluate_logs",
    "evaluate_range",
    "is_metric",
    "matchers_of",
    "parse",
    "parse_logs",
    "pretty",
    "quote",
    "response",
    "selector",
    "selector_of",
    "to_text",
    "with_matcher",
]
