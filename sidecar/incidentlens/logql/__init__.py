"""LogQL: a grammar, a printer, checks and an evaluator over any source of logs."""

from .errors import LogQLError
from .rewrite import check, count_over, is_metric, quote, selector_of, with_matchers, without_services

__all__ = [
    "LogQLError",
    "check",
    "count_over",
    "is_metric",
    "quote",
    "selector_of",
    "with_matchers",
    "without_services",
]
