"""Templates of alerts' labels and annotations: Go templates with Prometheus' functions and `$labels`, `$value`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from ..logql.errors import LogQLError
from ..logql.regex import anchored
from ..logql.template.evaluate import Template, TemplateError, _Run
from ..logql.template.functions import FUNCTIONS
from ..logql.template.nodes import Command, parse_template
from ..logql.template.numbers import FunctionError
from .gotext import GoError, format_go_time, parse_prometheus_duration
from .limits import SECOND

_BUILTIN = frozenset(
    {"and", "or", "not", "len", "index", "slice", "printf", "print", "println", "html", "js", "urlquery", "call"}
    | {"eq", "ne", "lt", "le", "gt", "ge"}
)
_PREFIX = (
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"
)


class TemplateFault(Exception):
    """A template that cannot be read or run: the text is Go's."""


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise FunctionError("can't convert bool to float")
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FunctionError(f'strconv.ParseFloat: parsing "{value}": invalid syntax') from None


def _short(value: float) -> str:
    """Go's `%.4g`."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return f"{value:.4g}"


def _humanize(value: Any) -> str:
    number = _number(value)
    if number == 0 or math.isnan(number) or math.isinf(number):
        return _short(number)
    prefixes = (
        ["", "k", "M", "G", "T", "P", "E", "Z", "Y"]
        if abs(number) >= 1
        else ["", "m", "u", "n", "p", "f", "a", "z", "y"]
    )
    step = 0
    while step + 1 < len(prefixes) and (abs(number) >= 1000 if prefixes[1] == "k" else abs(number) < 1):
        number = number / 1000 if prefixes[1] == "k" else number * 1000
        step += 1
    return _short(number) + prefixes[step]


def _humanize1024(value: Any) -> str:
    number = _number(value)
    prefix = ""
    if abs(number) > 1 and not math.isinf(number):
        for name in ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"):
            if abs(number) < 1024:
                break
            prefix, number = name, number / 1024
    return _short(number) + prefix


def _humanize_duration(value: Any) -> str:
    number = _number(value)
    if math.isnan(number) or math.isinf(number):
        return _short(number)
    if number == 0:
        return "0s"
    if abs(number) < 1:
        for prefix in ("m", "u", "n", "p", "f", "a", "z"):  # noqa: B007 - used after the loop
            number *= 1000
            if abs(number) >= 1:
                break
        return f"{_short(number)}{prefix}s"
    sign = "-" if number < 0 else ""
    number = abs(number)
    days, rest = divmod(int(number), 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_short(number)}s"


def _humanize_timestamp(value: Any) -> str:
    number = _number(value)
    if math.isnan(number) or math.isinf(number):
        return _short(number)
    return format_go_time(int(number * 1000) * 1_000_000)


def _parse_duration(value: Any) -> float:
    try:
        return parse_prometheus_duration(str(value)) / SECOND
    except GoError as error:
        raise FunctionError(str(error)) from None


def _no_query(*_: Any) -> Any:
    raise FunctionError("queries in templates are not supported by the local Loki")


_FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "humanize": (1, _humanize),
    "humanize1024": (1, _humanize1024),
    "humanizeDuration": (1, _humanize_duration),
    "humanizePercentage": (1, lambda value: f"{_short(_number(value) * 100)}%"),
    "humanizeTimestamp": (1, _humanize_timestamp),
    "title": (1, lambda text: " ".join(word[:1].upper() + word[1:] for word in str(text).split(" "))),
    "toUpper": (1, lambda text: str(text).upper()),
    "toLower": (1, lambda text: str(text).lower()),
    "parseDuration": (1, _parse_duration),
    "stripPort": (1, lambda text: str(text).rpartition(":")[0] or str(text)),
    "stripDomain": (1, lambda text: str(text).partition(".")[0]),
    "safeHtml": (1, str),
    "externalURL": (0, lambda: ""),
    "pathPrefix": (0, lambda: ""),
    "query": (1, _no_query),
    "first": (1, _no_query),
    "value": (1, _no_query),
    "label": (2, _no_query),
    "strvalue": (1, _no_query),
    "sortByLabel": (2, _no_query),
    "tmpl": (2, _no_query),
    "args": (1, _no_query),
    "match": (2, lambda pattern, text: anchored(str(pattern)).search(str(text)) is not None),
    "reReplaceAll": (3, lambda pattern, to, text: FUNCTIONS["regexReplaceAll"][1](str(pattern), str(text), str(to))),
    "graphLink": (1, _no_query),
    "tableLink": (1, _no_query),
    "toTime": (1, _no_query),
    "toDuration": (1, _no_query),
    "now": (0, _no_query),
    "urlQueryEscape": (1, lambda text: quote_plus(str(text))),
}
_NAMES = _BUILTIN | frozenset(_FUNCTIONS)


class _Labels(dict[str, str]):
    """Labels, of which one that is not there is empty."""

    def get(self, name: str, default: Any = "") -> Any:
        return super().get(name, default if default is not None else "")


class _AlertTemplate(Template):
    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.blocks = parse_template(text, name, _NAMES)
        self.labels = ()
        self.simple = None


class _AlertRun(_Run):
    def _call(self, name: str, command: Command, dot: Any, final: Any) -> Any:
        known = _FUNCTIONS.get(name)
        if known is None:
            return super()._call(name, command, dot, final)
        values = [self._value(arg, dot) for arg in command.args[1:]]
        count, function = known
        if len(values) + 1 == count:
            values.append(final)
        if len(values) != count:
            message = f"wrong number of args for {name}: want {count} got {len(values)}"
            raise self._fail(message, command.position, command.source)
        try:
            return function(*values)
        except FunctionError as error:
            raise self._fail(f"error calling {name}: {error}", command.position, command.source) from None


@lru_cache(maxsize=1024)
def _compiled(text: str, alert: str) -> _AlertTemplate:
    try:
        return _AlertTemplate(_PREFIX + text, f"__alert_{alert}")
    except LogQLError as error:
        raise TemplateFault(error.message) from None


def check_template(text: str, alert: str) -> None:
    """Raise TemplateFault, with Go's text, when the template of an alert cannot be read."""
    if "{{" in text:
        _compiled(text, alert)


def expand(text: str, alert: str, labels: dict[str, str], value: float) -> str:
    """Fill a template in. One that fails gives the fault as its text, as Prometheus does it."""
    if "{{" not in text:
        return text
    dot: dict[str, Any] = {"Labels": _Labels(labels), "ExternalLabels": _Labels(), "ExternalURL": "", "Value": value}
    try:
        return _AlertRun(_compiled(text, alert), dot, "", 0).text()
    except TemplateError as error:
        return f"<error expanding template: error executing template __alert_{alert}: {error}>"
