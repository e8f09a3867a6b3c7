"""Loki's pattern expressions (`<ip> - - <_>`), for the parser and for the line filters `|>` and `!>`."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from .errors import LogQLError
from .regex import compile_re2

_GROUP_NAME = re.compile(r"\(\?P?<([A-Za-z_]\w*+)>", re.ASCII)
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_CAPTURE = re.compile(r"<([A-Za-z_][A-Za-z0-9_]*+)>")


class Capture(NamedTuple):
    """A part of a pattern that takes in text; `_` takes it in without a name."""

    name: str

    @property
    def unnamed(self) -> bool:
        return self.name == "_"


Node = str | Capture


def _nodes(text: str) -> tuple[Node, ...]:
    nodes: list[Node] = []
    position = 0
    for found in _CAPTURE.finditer(text):
        if found.start() > position:
            nodes.append(text[position : found.start()])
        nodes.append(Capture(found[1]))
        position = found.end()
    if position < len(text):
        nodes.append(text[position:])
    for left, right in pairwise(nodes):
        if isinstance(left, Capture) and isinstance(right, Capture):
            shown = f"<{left.name}><{right.name}>"
            hint = "put the text that parts them between two captures"
            raise LogQLError(f"found consecutive capture '{shown}': invalid expression", hint=hint)
    return tuple(nodes)


@lru_cache(maxsize=256)
def compile_parser_pattern(text: str) -> tuple[Node, ...]:
    """Read the expression of `| pattern`.

    Raises:
        LogQLError: no named capture, two captures side by side, or one name twice.
    """
    if not text:
        raise LogQLError("parse error at line 1, col 1: syntax error: unexpected $end, expecting IDENTIFIER or LITERAL")
    nodes = _nodes(text)
    names = [node.name for node in nodes if isinstance(node, Capture) and not node.unnamed]
    if not names:
        raise LogQLError("at least one capture is required", hint="name a part: <status>")
    for index, name in enumerate(names):
        if name in names[:index]:
            raise LogQLError(f"duplicate capture name ({name}): invalid expression")
    return nodes


@lru_cache(maxsize=256)
def compile_line_pattern(text: str) -> tuple[Node, ...]:
    """Read the expression of a line filter `|>` or `!>`.

    Raises:
        LogQLError: a named capture, or two captures side by side.
    """
    if not text:
        return ()
    nodes = _nodes(text)
    for node in nodes:
        if isinstance(node, Capture) and not node.unnamed:
            raise LogQLError(f"named captures are not allowed: found '<{node.name}>'", hint="write <_>")
    return nodes


def capture(nodes: tuple[Node, ...], line: str) -> list[tuple[str, str]]:
    """Give (name, text) of the named captures found in a line, up to where the pattern stops fitting."""
    found: list[tuple[str, str]] = []
    if not line:
        return found
    position = index = 0
    first = nodes[0]
    if isinstance(first, str):
        if not line.startswith(first):
            return found
        position, index = len(first), 1
    while index < len(nodes):
        node = nodes[index]
        assert isinstance(node, Capture)
        literal = nodes[index + 1] if index + 1 < len(nodes) else None
        end = line.find(literal, position) if isinstance(literal, str) else -1
        if end < 0:
            if not node.unnamed:
                found.append((node.name, line[position:]))
            return found
        if not node.unnamed:
            found.append((node.name, line[position:end]))
        position = end + len(str(literal))
        index += 2
    return found


def fits(nodes: tuple[Node, ...], line: str) -> bool:
    """Say whether a line has the shape of a line filter's pattern; a capture is never empty."""
    if not line or not nodes:
        return not line and not nodes
    position = 0
    for index, node in enumerate(nodes):
        if not isinstance(node, str):
            continue
        at = line.find(node, position)
        if at < 0 or (index != 0 and at == position):
            return False
        position = at + len(node)
    return isinstance(nodes[-1], Capture) == (position != len(line))


@lru_cache(maxsize=256)
def compile_parser_regexp(text: str) -> tuple[Any, tuple[str, ...]]:
    """Compile the expression of `| regexp`: the expression and the group names by position ("" where unnamed).

    Raises:
        LogQLError: not RE2 syntax, no named group, or one name twice.
    """
    written = _GROUP_NAME.findall(_ESCAPED.sub("", text))
    for index, name in enumerate(written):
        if name in written[:index]:
            raise LogQLError(f"duplicate extracted label name '{name}'")
    expression = compile_re2(text)
    by_index = {index: name for name, index in expression.groupindex.items()}
    names = tuple(by_index.get(index, "") for index in range(1, expression.groups + 1))
    if not by_index:
        raise LogQLError("at least one named capture must be supplied", hint="name a group: (?P<name>...)")
    return expression, names
