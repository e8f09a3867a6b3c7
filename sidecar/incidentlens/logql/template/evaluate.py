"""Runs a template over the labels of a line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .functions import FUNCTIONS, NAMES, is_true
from .gotime import GoTime
from .nodes import Arg, Block, Command, Pipe, parse_template
from .numbers import MAX_TEXT, FunctionError
from .printf import show, type_name

MAX_STEPS = 20_000  # of loops, for one line
_NOTHING = object()


class TemplateError(Exception):
    """A template that fails on a line; `str()` is Go's text."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A template, ready to run.

    Attributes:
        labels: the labels it names.
        simple: the label, where the template is nothing but `{{.label}}`.
    """

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.blocks = parse_template(text, name, NAMES)
        self.labels = tuple(dict.fromkeys(_labels(self.blocks)))
        self.simple = _simple(self.blocks)

    def run(self, labels: Mapping[str, str], line: str, ts: int) -> str:
        """Give the text for one line; a label that is not there is empty.

        Raises:
            TemplateError: a function that cannot do what it is asked, or a result that is too long.
        """
        return _Run(self, labels, line, ts).text()


@lru_cache(maxsize=256)
def compile_template(text: str, name: str) -> Template:
    """Read a template.

    Raises:
        LogQLError: as Go words it.
    """
    return Template(text, name)


def _simple(blocks: list[Block]) -> str | None:
    if len(blocks) != 1 or blocks[0].kind != "action" or blocks[0].pipe is None:
        return None
    pipe = blocks[0].pipe
    if pipe.variables or len(pipe.commands) != 1 or len(pipe.commands[0].args) != 1:
        return None
    arg = pipe.commands[0].args[0]
    return arg.fields[0] if arg.kind == "field" and len(arg.fields) == 1 else None


def _labels(blocks: list[Block]) -> list[str]:
    out: list[str] = []
    for block in blocks:
        if block.pipe is not None:
            out.extend(_pipe_labels(block.pipe))
        out.extend(_labels(block.body))
        out.extend(_labels(block.other))
    return out


def _pipe_labels(pipe: Pipe) -> list[str]:
    out: list[str] = []
    for command in pipe.commands:
        for arg in command.args:
            if arg.kind == "field":
                out.extend(arg.fields)
            elif arg.kind == "pipe":
                out.extend(_pipe_labels(arg.value))
    return out


class _Run:
    def __init__(self, template: Template, labels: Mapping[str, str], line: str, ts: int) -> None:
        self.template = template
        self.labels = labels
        self.line = line
        self.ts = ts
        self.out: list[str] = []
        self.size = 0
        self.steps = 0
        self.scopes: list[dict[str, Any]] = [{"$": labels}]

    def text(self) -> str:
        self._blocks(self.template.blocks, self.labels)
        return "".join(self.out)

    def _fail(self, message: str, position: int, source: str) -> TemplateError:
        before = self.template.text[:position]
        line = before.count("\n") + 1
        column = len(before[before.rfind("\n") + 1 :].encode("utf-8", "replace"))
        name = self.template.name
        return TemplateError(f'template: {name}:{line}:{column}: executing "{name}" at <{source}>: {message}')

    def _write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_TEXT:
            raise TemplateError(f"template: {self.template.name}: result is longer than {MAX_TEXT} characters")
        self.out.append(text)

    def _blocks(self, blocks: list[Block], dot: Any) -> None:
        for block in blocks:
            kind = block.kind
            if kind == "text":
                self._write(block.text)
            elif kind == "break":
                raise _Break
            elif kind == "continue":
                raise _Continue
            elif block.pipe is not None:
                if kind == "action":
                    value = self._pipe(block.pipe, dot)
                    if not block.pipe.variables:
                        self._write(show(value, nil="<no value>"))
                elif kind == "range":
                    self._range(block, block.pipe, dot)
                else:
                    self._choose(block, block.pipe, dot)

    def _choose(self, block: Block, pipe: Pipe, dot: Any) -> None:
        self.scopes.append({})
        try:
            value = self._pipe(pipe, dot)
            if is_true(value):
                self._blocks(block.body, value if block.kind == "with" else dot)
            else:
                self._blocks(block.other, dot)
        finally:
            self.scopes.pop()

    def _range(self, block: Block, pipe: Pipe, dot: Any) -> None:
        value = self._pipe(Pipe(pipe.commands), dot)
        if isinstance(value, Mapping):
            items: Any = sorted(value.items())
        elif isinstance(value, list):
            items = enumerate(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            items = ((index, index) for index in range(value))
        elif value is None:
            items = ()
        else:
            source = pipe.commands[0].source
            raise self._fail(f"range can't iterate over {show(value)}", pipe.commands[0].position, source)
        some = False
        for key, item in items:
            some = True
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise TemplateError(f"template: {self.template.name}: more than {MAX_STEPS} rounds")
            self.scopes.append(
                dict(zip(pipe.variables, (key, item) if len(pipe.variables) == 2 else (item,), strict=False))
            )
            try:
                self._blocks(block.body, item)
            except _Continue:
                pass
            except _Break:
                break
            finally:
                self.scopes.pop()
        if not some:
            self._blocks(block.other, dot)

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        value: Any = _NOTHING
        for command in pipe.commands:
            value = self._command(command, dot, value)
        for name in pipe.variables:
            if pipe.assigns:
                scope = next((one for one in reversed(self.scopes) if name in one), self.scopes[-1])
                scope[name] = value
            else:
                self.scopes[-1][name] = value
        return value

    def _command(self, command: Command, dot: Any, final: Any) -> Any:
        first = command.args[0]
        if first.kind == "function":
            result = self._call(first.value, command, dot, final)
            return self._fields(result, first.fields, first) if first.fields else result
        if first.fields and isinstance(self._base(first, dot), GoTime):
            return self._method(first, command, dot)
        if len(command.args) > 1 or final is not _NOTHING:
            if first.kind in ("field", "variable", "pipe"):
                name = first.fields[-1] if first.fields else first.source
                message = f"{name} has arguments but cannot be invoked as function"
                raise self._fail(message, first.position, first.source)
            raise self._fail(f"can't give argument to non-function {first.source}", first.position, first.source)
        if first.kind == "nil":
            raise self._fail("nil is not a command", first.position, first.source)
        return self._value(first, dot)

    def _base(self, arg: Arg, dot: Any) -> Any:
        if arg.kind == "variable":
            return self._variable(arg.value)
        if arg.kind == "pipe":
            return self._pipe(arg.value, dot)
        return dot if arg.kind in ("dot", "field") else None

    def _variable(self, name: str) -> Any:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None

    def _method(self, first: Arg, command: Command, dot: Any) -> Any:
        moment = self._base(first, dot)
        name = first.fields[0]
        local = moment.local()
        simple = {
            "Unix": moment.ns // 1_000_000_000,
            "UnixMilli": moment.ns // 1_000_000,
            "UnixMicro": moment.ns // 1_000,
            "UnixNano": moment.ns,
            "Year": local.year,
            "Day": local.day,
            "Hour": local.hour,
            "Minute": local.minute,
            "Second": local.second,
            "Nanosecond": moment.ns % 1_000_000_000,
            "YearDay": local.timetuple().tm_yday,
            "UTC": GoTime(moment.ns),
            "Local": GoTime(moment.ns),
            "String": str(moment),
        }
        if name == "Format" and len(command.args) == 2:
            return moment.format(str(self._value(command.args[1], dot)))
        if name in simple and len(command.args) == 1:
            return simple[name]
        raise self._fail(f"can't evaluate field {name} in type time.Time", first.position, first.source)

    def _value(self, arg: Arg, dot: Any) -> Any:
        if arg.kind == "constant":
            return arg.value
        if arg.kind == "nil":
            return None
        if arg.kind == "function":
            return self._fields(
                self._call(arg.value, Command((arg,), arg.position, arg.source), dot, _NOTHING), arg.fields, arg
            )
        base = self._base(arg, dot)
        if arg.fields and isinstance(base, GoTime):
            return self._method(arg, Command((arg,), arg.position, arg.source), dot)
        return self._fields(base, arg.fields, arg)

    def _fields(self, value: Any, names: tuple[str, ...], arg: Arg) -> Any:
        for name in names:
            if value is self.labels:
                value = self.labels.get(name, "")
            elif isinstance(value, dict):
                value = value.get(name)
            elif value is None:
                raise self._fail(f"nil data; no entry for key {name!r}".replace("'", '"'), arg.position, arg.source)
            else:
                message = f"can't evaluate field {name} in type {type_name(value)}"
                raise self._fail(message, arg.position, arg.source)
        return value

    def _call(self, name: str, command: Command, dot: Any, final: Any) -> Any:
        if name in ("and", "or"):
            return self._logic(name, command, dot, final)
        if name in ("__line__", "__timestamp__"):
            if len(command.args) > 1 or final is not _NOTHING:
                raise self._fail(f"wrong number of args for {name}: want 0", command.position, command.source)
            return self.line if name == "__line__" else GoTime(self.ts)
        if name == "call":
            raise self._fail("error calling call: non-function", command.position, command.source)
        values = [self._value(arg, dot) for arg in command.args[1:]]
        if final is not _NOTHING:
            values.append(final)
        kinds, function = FUNCTIONS[name]
        many = kinds.endswith("*")
        fixed = kinds[:-2] if many else kinds
        if len(values) < len(fixed) or (not many and len(values) > len(fixed)):
            want = f"at least {len(fixed)}" if many else str(len(fixed))
            message = f"wrong number of args for {name}: want {want} got {len(values)}"
            raise self._fail(message, command.args[0].position, command.args[0].source)
        wanted = fixed + (kinds[-2] * (len(values) - len(fixed)) if many else "")
        checked = [
            self._checked(kind, value, command, index)
            for index, (kind, value) in enumerate(zip(wanted, values, strict=True))
        ]
        try:
            return function(*checked)
        except FunctionError as error:
            raise self._fail(f"error calling {name}: {error}", command.position, command.source) from None

    def _checked(self, kind: str, value: Any, command: Command, index: int) -> Any:
        wanted = {"s": ("string", str), "i": ("int", int), "f": ("float64", float), "t": ("time.Time", GoTime)}.get(
            kind
        )
        if wanted is None:
            return value
        name, python = wanted
        written = index + 1 < len(command.args) and command.args[index + 1].kind == "constant"
        if written and kind == "i" and isinstance(value, float) and value.is_integer():
            return int(value)
        if written and kind == "f" and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, python) or (kind == "i" and isinstance(value, bool)):
            arg = command.args[index + 1] if index + 1 < len(command.args) else command.args[0]
            if value is None:
                raise self._fail(f"invalid value; expected {name}", arg.position, arg.source)
            if arg.kind == "constant":
                raise self._fail(f"expected {_expected(kind)}; found {arg.source}", arg.position, arg.source)
            raise self._fail(f"wrong type for value; expected {name}; got {type_name(value)}", arg.position, arg.source)
        return value

    def _logic(self, name: str, command: Command, dot: Any, final: Any) -> Any:
        if len(command.args) < 2 and final is _NOTHING:
            message = f"wrong number of args for {name}: want at least 1 got 0"
            raise self._fail(message, command.args[0].position, command.args[0].source)
        value: Any = None
        for arg in command.args[1:]:
            value = self._value(arg, dot)
            if is_true(value) == (name == "or"):
                return value
        return final if final is not _NOTHING else value


def _expected(kind: str) -> str:
    return {"s": "string", "i": "integer", "f": "float"}.get(kind, "value")
