"""Reading a user's YAML file into a value, so that every error names file, line, key and what is allowed.

Everything is bounded: size, depth, and what aliases expand to. Only plain data is read: no tags, no Python objects.
`on`, `no` and `1:30` stay text (as in YAML 1.2); a model that wants a truth value takes `yes` and `no` all the same.
"""

from __future__ import annotations

import difflib
import math
import re
import string
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

MAX_BYTES = 2_000_000
MAX_DEPTH = 40
MAX_NODES = 200_000  # after aliases are expanded

Loc = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)


class YamlProblem(NamedTuple):
    """One thing wrong. `line` counts from 1 and is 0 where there is no line to name; `key` is `a.b[2]`, or empty."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class YamlError(ValueError):
    """A file that cannot be used. `problems` has everything that is wrong with it, in the file's order."""

    def __init__(self, file: str | Path, line: int, key: str, message: str, others: Sequence[YamlProblem] = ()) -> None:
        self.file, self.line, self.key, self.message = str(file), line, key, message
        first = YamlProblem(self.file, line, key, message)
        self.problems: tuple[YamlProblem, ...] = (first, *others)
        more = f" (and {len(others)} more)" if others else ""
        super().__init__(f"{first}{more}")


class _Loader(yaml.SafeLoader):
    """SafeLoader without the surprises of YAML 1.1."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("merge", r"^<<$", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))

_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("bool", "null", "int", "float", "str", "merge")}
_PLAIN = _SCALARS | {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


def load(path: str | Path, model: type[ModelT], environ: Mapping[str, str] | None = None) -> ModelT:
    """Read `path` and validate it as `model`.

    `environ` turns on `${NAME}` and `${NAME:-default}` in values (`$${` stands for a literal `${`).
    Raises YamlError for all that can be wrong with it, an unreadable file included.
    """
    return read(path, environ).validate(model)


def read(path: str | Path, environ: Mapping[str, str] | None = None) -> Document:
    """Read `path` as plain data that remembers its lines. Raises YamlError."""
    name = str(path)
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlError(name, 0, "", f"cannot be read: {error.strerror or error}") from error
    return parse(content, name, environ)


def parse(content: bytes | str, name: str, environ: Mapping[str, str] | None = None) -> Document:
    """The same for text that is already here; `name` stands in the errors."""
    if len(content) > MAX_BYTES:
        raise YamlError(name, 0, "", f"is larger than {MAX_BYTES:,} bytes")
    try:
        _check_events(content, name)
        node = yaml.compose(content, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        text = ", ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(name, mark.line + 1 if mark else 0, "", f"is not YAML: {text}") from error
    except yaml.YAMLError as error:
        what = str(getattr(error, "reason", "")) or str(error).splitlines()[0]
        raise YamlError(name, _line_of(error, content), "", f"is not YAML: {what}") from error
    return Document(name, node, environ)


def _line_of(error: yaml.YAMLError, content: bytes | str) -> int:
    """The line of a character that YAML does not allow: the reader gives a position, not a mark."""
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return 0
    head = content[:position]
    return (head.count(b"\n") if isinstance(head, bytes) else head.count("\n")) + 1


def _check_events(content: bytes | str, name: str) -> None:
    """Composing is recursive, so depth is checked on the flat stream of events first."""
    depth = documents = 0
    for event in yaml.parse(content, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise YamlError(name, line, "", "has more than one document ('---'): put each into its own file")
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise YamlError(name, line, "", f"is nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class Document:
    """A file's plain data (`data`), and the line each part of it stands on."""

    def __init__(self, file: str, root: yaml.Node | None, environ: Mapping[str, str] | None = None) -> None:
        self.file = file
        self._lines: dict[Loc, int] = {}
        self._environ = environ
        self._nodes = 0
        self._open: set[int] = set()
        self.data: Any = self._value(root, ()) if root is not None else None

    def line(self, loc: Sequence[str | int] = ()) -> int:
        """The line (from 1) of that place, or of the nearest place around it; 0 where the file is empty."""
        place = tuple(loc)
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 0)

    def error(self, loc: Sequence[str | int], message: str) -> YamlError:
        """A YamlError at that place, for checks that a model cannot make itself."""
        return YamlError(self.file, self.line(loc), key_text(loc), message)

    def validate(self, model: type[ModelT]) -> ModelT:
        """The data as `model`. Raises YamlError with every problem."""
        if self.data is None:
            raise YamlError(self.file, 0, "", f"is empty; it needs {_required(model)}")
        if not isinstance(self.data, dict):
            raise YamlError(self.file, self.line(), "", f"must be 'key: value' lines; it needs {_required(model)}")
        try:
            return model.model_validate(self.data)
        except ValidationError as error:
            found = sorted({self._problem(dict(detail), model) for detail in error.errors(include_url=False)})
            first, *others = sorted(found, key=lambda problem: problem.line)
            raise YamlError(*first, others=others) from error

    def _problem(self, detail: dict[str, Any], model: type[BaseModel]) -> YamlProblem:
        loc = self._known(detail["loc"], detail["type"])
        message = _message(detail, loc, model)
        return YamlProblem(self.file, self.line(loc), key_text(loc), message)

    def _known(self, loc: Loc, kind: str) -> Loc:
        """pydantic puts names of union branches and `[key]` into a loc; keep what stands in the file."""
        kept: Loc = ()
        for index, part in enumerate(loc):
            last = index == len(loc) - 1
            if (*kept, part) in self._lines or (last and kind == "missing"):
                kept = (*kept, part)
        return kept

    def _value(self, node: yaml.Node, loc: Loc) -> Any:
        self._lines.setdefault(loc, node.start_mark.line + 1)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._at(node, loc, f"expands to more than {MAX_NODES:,} values; use fewer aliases (*name)")
        if node.tag not in _PLAIN:
            raise self._at(node, loc, f"the tag {node.tag!r} is not allowed; write plain values")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, loc)
        if id(node) in self._open:
            raise self._at(node, loc, "an alias (*name) contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*loc, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, loc)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, loc: Loc) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else (value_node,):
                    part = self._value(source, loc)
                    if not isinstance(part, dict):
                        raise self._at(value_node, loc, "'<<' needs an alias of a mapping")
                    merged = {**part, **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._at(key_node, loc, "a key must be plain text")
            key = str(key_node.value)
            if key in own:
                first = self._lines[(*loc, key)]
                raise self._at(key_node, (*loc, key), f"stands here twice (first on line {first}); remove one")
            self._lines[(*loc, key)] = key_node.start_mark.line + 1
            own[key] = self._value(value_node, (*loc, key))
        return {**merged, **own}

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        text = str(node.value)
        kind = node.tag.rsplit(":", 1)[1]
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int" and len(text) < 30:
            return int(text)
        if kind == "float" and math.isfinite(float(text)):
            return float(text)
        if self._environ is None:
            return text
        try:
            return expand(text, self._environ)
        except ValueError as error:
            raise self._at(node, loc, str(error)) from error

    def _at(self, node: yaml.Node, loc: Loc, message: str) -> YamlError:
        return YamlError(self.file, node.start_mark.line + 1, key_text(loc), message)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`${NAME}` and `${NAME:-default}` replaced from `environ`, `$${` a literal `${`; ValueError says what is unset."""
    out: list[str] = []
    rest = text
    while True:
        head, mark, rest = rest.partition("${")
        if not mark:
            return "".join((*out, head))
        if head.endswith("$"):
            out.append(head[:-1] + "${")
            continue
        name, close, after = rest.partition("}")
        if not close:
            raise ValueError("has '${' without '}'; write '$${' for a literal '${'")
        name, has_default, default = name.partition(":-")
        if not name or set(name) - set(string.ascii_letters + string.digits + "_"):
            raise ValueError("the name in '${NAME}' may have letters, digits and '_'")
        value = environ.get(name) or (default if has_default else environ.get(name))
        if value is None:
            raise ValueError(f"the environment has no {name}; set it, or write ${{{name}:-default}}")
        out.append(head + value)
        rest = after


def key_text(loc: Sequence[str | int]) -> str:
    """A place as people write it: `projects[0].queries[1].logql`."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """`"; did you mean 'x'?"`, or nothing where no known word is near."""
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower()[:100], list(lower), n=1, cutoff=0.6)
    return f"; did you mean {lower[near[0]]!r}?" if near else ""


def _required(model: type[BaseModel]) -> str:
    names = [_outer(model, name) for name, field in model.model_fields.items() if field.is_required()]
    return ", ".join(names) or "at least one of " + ", ".join(_keys(model))


def _outer(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


def _keys(model: type[BaseModel]) -> list[str]:
    return [_outer(model, name) for name in model.model_fields]


def _message(detail: dict[str, Any], loc: Loc, model: type[BaseModel]) -> str:
    kind, text = detail["type"], str(detail["msg"])
    handlers: dict[str, Callable[[], str]] = {
        "extra_forbidden": lambda: _unknown_key(str(loc[-1]) if loc else "", _types_at(model, loc[:-1])),
        "missing": lambda: "is missing; it is required",
        "enum": lambda: "must be " + _expected(detail) + _near_choice(detail),
        "literal_error": lambda: "must be " + _expected(detail) + _near_choice(detail),
        "value_error": lambda: text.removeprefix("Value error, "),
        "assertion_error": lambda: text.removeprefix("Assertion failed, "),
        "string_type": lambda: "must be text; put it in quotes" if _simple(detail) else "must be text",
        "string_pattern_mismatch": lambda: f"must match {detail.get('ctx', {}).get('pattern', '')}",
        "too_short": lambda: "must not be empty" if detail.get("ctx", {}).get("min_length") == 1 else _lower(text),
        "string_too_short": lambda: "must not be empty",
        "tuple_type": lambda: "must be a list ('- item' lines)",
        "list_type": lambda: "must be a list ('- item' lines)",
        "dict_type": lambda: "must be 'key: value' lines",
        "model_type": lambda: "must be 'key: value' lines",
    }
    handler = handlers.get(kind)
    return handler() if handler else _lower(text).replace("input should", "must")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _simple(detail: dict[str, Any]) -> bool:
    return isinstance(detail.get("input"), (int, float, bool))


def _unknown_key(key: str, models: Sequence[type[BaseModel]]) -> str:
    allowed = sorted({name for model in models for name in _keys(model)})
    return f"is no known key{did_you_mean(key, allowed)}; allowed: {', '.join(allowed)}"


def _near_choice(detail: dict[str, Any]) -> str:
    """A near choice for a wrong value of a closed vocabulary; the value itself is never repeated, it may be secret."""
    choices = [word.strip(" '") for word in _expected(detail).replace(" or ", ",").split(",")]
    return did_you_mean(str(detail.get("input")), choices)


def _expected(detail: dict[str, Any]) -> str:
    return str(detail.get("ctx", {}).get("expected", ""))


def _types_at(model: type[BaseModel], loc: Loc) -> list[type[BaseModel]]:
    """The models that may stand at that place."""
    found: list[Any] = [model]
    for part in loc:
        following: list[Any] = []
        for kind in found:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                following += [
                    inner
                    for name, field in kind.model_fields.items()
                    if part in (name, field.alias)
                    for inner in _inner(field.annotation)
                ]
            else:
                following += [inner for argument in get_args(kind) for inner in _inner(argument)]
        found = following
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _inner(annotation: Any) -> list[Any]:
    """An annotation without Annotated, Optional and unions."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _inner(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [inner for argument in get_args(annotation) for inner in _inner(argument)]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return []
    return [annotation]
