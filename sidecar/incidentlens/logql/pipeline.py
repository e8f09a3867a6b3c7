"""Compiles the stages of a query into functions, in the order in which Loki runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import ast
from .ast import Grouping
from .errors import LogQLError
from .filters import LabelTest, LineTest, label_test, line_test, names
from .labels import DUPLICATE, ERROR, ERROR_DETAILS, PRESERVE_ERROR, Builder, Hints
from .parsers import (
    Run,
    json_fields_stage,
    json_stage,
    logfmt_fields_stage,
    logfmt_stage,
    pattern_stage,
    regexp_stage,
    unpack_stage,
)
from .printer import filter_text, stage_text
from .regex import compile_re2
from .template import TemplateError, compile_template

TEMPLATE_ERROR = "TemplateFormatErr"
_ANSI = (
    r"[\x{1b}\x{9b}][[\]()#;?]*(?:(?:(?:[a-zA-Z\d]*(?:;[a-zA-Z\d]*)*)?\x{07})"
    r"|(?:(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PRZcf-ntqry=><~]))"
)


@dataclass(slots=True)
class Pipeline:
    """Stages, ready to run.

    Attributes:
        first: line filters that see the line as it is stored: a source may apply them before anything else.
        stages: the rest, in order.
        required: labels that the stages name.
        filters: label filters by the one label they look at.
    """

    first: list[LineTest] = field(default_factory=list)
    stages: list[Run] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    filters: list[tuple[str, LabelTest]] = field(default_factory=list)

    def matches(self, line: str) -> bool:
        return all(test(line) for test in self.first)

    def hints(self, grouping: Grouping | None, *, unwrap: str = "") -> Hints:
        """Give what a metric query with this grouping needs of the parsers; None: it keeps all labels."""
        if grouping is None or grouping.without:
            return Hints(filters=self.filters)
        wanted = _with_plain(dict.fromkeys([*self.required, *grouping.labels, unwrap]))
        if not grouping.labels:
            return Hints(wanted, filters=self.filters) if wanted else Hints(nothing=True)
        return Hints(wanted)


def _with_plain(labels: dict[str, None]) -> list[str]:
    """A label may be wanted under its own name or with the suffix of a duplicate."""
    out: dict[str, None] = {}
    for name in labels:
        if name:
            out[name] = None
            if name.endswith(DUPLICATE):
                out[name.removesuffix(DUPLICATE)] = None
    return [name for name in out if name]


def compile_pipeline(stages: Sequence[ast.Stage], extra: Sequence[ast.AnyLabelFilter] = ()) -> Pipeline:
    """Compile a pipeline; `extra` are the filters after an `unwrap`, whose labels are needed too.

    Raises:
        LogQLError: a stage that cannot be: `stage '|~ "("' : ...`.
    """
    pipeline = Pipeline()
    for stage in _reordered(stages):
        if isinstance(stage, ast.LineFilter):
            test = _compiled(line_test, stage, stage)
            if test is None:
                continue
            if pipeline.stages:
                pipeline.stages.append(_line_stage(test))
            else:
                pipeline.first.append(test)
        elif isinstance(stage, ast.LabelFilter):
            found = _compiled(label_test, stage.filter, stage)
            if found is not None:
                pipeline.stages.append(_label_stage(found))
                _note_filter(pipeline, stage.filter, found)
        else:
            run = _compiled(_stage, stage, stage)
            pipeline.stages.append(run)
            pipeline.required.extend(_required(stage))
    for one in extra:
        pipeline.required.extend(names(one))
    return pipeline


def run(stages: Sequence[Run], ts: int, line: str, builder: Builder) -> str | None:
    """Run stages over a line; None where one drops it."""
    for stage in stages:
        changed = stage(ts, line, builder)
        if changed is None:
            return None
        line = changed
    return line


def compile_filters(found: Sequence[ast.AnyLabelFilter]) -> list[LabelTest]:
    """Compile the filters after an `unwrap`."""
    tests = (_compiled(label_test, one, ast.LabelFilter(one)) for one in found)
    return [test for test in tests if test is not None]


def _note_filter(pipeline: Pipeline, found: ast.AnyLabelFilter, test: LabelTest) -> None:
    labels = names(found)
    pipeline.required.extend(labels)
    if not isinstance(found, (ast.BothFilter, ast.EitherFilter)):
        pipeline.filters.append((labels[0], test))


def _compiled(compiler: Any, what: Any, stage: ast.Stage) -> Any:
    try:
        return compiler(what)
    except LogQLError as error:
        shown = f"| {filter_text(stage.filter)}" if isinstance(stage, ast.LabelFilter) else stage_text(stage)
        raise LogQLError(f"stage '{shown}' : {error.message}", hint=error.hint) from None


def _reordered(stages: Sequence[ast.Stage]) -> list[ast.Stage]:
    """Bring line filters as far to the front as they give the same: not past a label filter or what changes lines."""
    out: list[ast.Stage] = []
    lines: list[ast.Stage] = []
    others: list[ast.Stage] = []

    def flush() -> None:
        out.extend(lines)
        out.extend(others)
        lines.clear()
        others.clear()

    for stage in stages:
        if isinstance(stage, ast.LabelFilter):
            flush()
            out.append(stage)
        elif isinstance(stage, ast.LineFilter):
            lines.append(stage)
        else:
            others.append(stage)
            if isinstance(stage, (ast.LineFormat, ast.Unpack)):
                flush()
    flush()
    return out


def _required(stage: ast.Stage) -> tuple[str, ...]:
    if isinstance(stage, ast.LineFormat):
        return compile_template(stage.template, "line").labels
    if isinstance(stage, ast.LabelFormat):
        out: list[str] = []
        for one in stage.assignments:
            out.extend([one.value] if one.rename else compile_template(one.value, "label").labels)
        return tuple(out)
    return ()


def _line_stage(test: LineTest) -> Run:
    return lambda ts, line, builder: line if test(line) else None


def _label_stage(test: LabelTest) -> Run:
    return lambda ts, line, builder: line if test(builder) else None


def _stage(stage: ast.Stage) -> Run:
    if isinstance(stage, ast.Json):
        return json_fields_stage(stage) if stage.fields else json_stage()
    if isinstance(stage, ast.Logfmt):
        return logfmt_fields_stage(stage) if stage.fields else logfmt_stage(stage)
    if isinstance(stage, ast.Pattern):
        return pattern_stage(stage)
    if isinstance(stage, ast.Regexp):
        return regexp_stage(stage)
    if isinstance(stage, ast.Unpack):
        return unpack_stage()
    if isinstance(stage, ast.LineFormat):
        return _line_format(stage)
    if isinstance(stage, ast.LabelFormat):
        return _label_format(stage)
    if isinstance(stage, ast.Drop):
        return _drop(stage)
    if isinstance(stage, ast.Keep):
        return _keep(stage)
    assert isinstance(stage, ast.Decolorize)
    ansi = compile_re2(_ANSI)
    return lambda ts, line, builder: ansi.sub("", line) if "\x1b" in line or "\x9b" in line else line


def _line_format(stage: ast.LineFormat) -> Run:
    try:
        template = compile_template(stage.template, "line")
    except LogQLError as error:
        raise LogQLError(f"invalid line template: {error.message}", hint=error.hint) from None
    simple = template.simple
    if simple is not None:
        return lambda ts, line, builder: builder.get(simple) or ""

    def run(ts: int, line: str, builder: Builder) -> str | None:
        try:
            return template.run(builder.all(), line, ts)
        except TemplateError as error:
            builder.error, builder.details = TEMPLATE_ERROR, str(error)
            return line

    return run


def _label_format(stage: ast.LabelFormat) -> Run:
    seen: set[str] = set()
    plan: list[tuple[str, str, Any]] = []
    for one in stage.assignments:
        if one.name == ERROR:
            raise LogQLError(f"{one.name} cannot be formatted")
        if one.name in seen:
            raise LogQLError(f"multiple label name '{one.name}' not allowed in a single format operation")
        seen.add(one.name)
    for one in stage.assignments:
        template = None
        if not one.rename:
            try:
                template = compile_template(one.value, "label")
            except LogQLError as error:
                message = f"invalid template for label '{one.name}': {error.message}"
                raise LogQLError(message, hint=error.hint) from None
        plan.append((one.name, one.value, template))

    def run(ts: int, line: str, builder: Builder) -> str | None:
        labels: dict[str, str] = {}
        for name, value, template in plan:
            if template is None:
                found = builder.get(value)
                if found is not None:
                    builder.set(name, found)
                    builder.delete(value)
                continue
            labels = labels or builder.all()
            try:
                builder.set(name, template.run(labels, line, ts))
            except TemplateError as error:
                builder.error, builder.details = TEMPLATE_ERROR, str(error)
        return line

    return run


def _drop(stage: ast.Drop) -> Run:
    def run(ts: int, line: str, builder: Builder) -> str | None:
        for one in stage.labels:
            name = one if isinstance(one, str) else one.name
            if name == ERROR:
                if isinstance(one, str) or one.test(builder.error):
                    builder.error = ""
            elif name == ERROR_DETAILS:
                if isinstance(one, str) or one.test(builder.details):
                    builder.details = ""
            else:
                value = builder.get(name)
                if value is not None if isinstance(one, str) else one.test(value or ""):
                    builder.delete(name)
        return line

    return run


def _keep(stage: ast.Keep) -> Run:
    plain = {one for one in stage.labels if isinstance(one, str)}
    matchers = [one for one in stage.labels if not isinstance(one, str)]

    def run(ts: int, line: str, builder: Builder) -> str | None:
        for name, value in builder.all().items():
            if name in (ERROR, ERROR_DETAILS, PRESERVE_ERROR) or name in plain:
                continue
            if not any(one.name == name and one.test(value) for one in matchers):
                builder.delete(name)
        return line

    return run
