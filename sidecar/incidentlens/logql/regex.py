"""Regular expressions of queries: RE2 with Go's error texts, and the places where Loki simplifies them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import re2

from .errors import LogQLError

_GO_REASONS = {
    "missing )": ("missing closing )", True),
    "unexpected )": ("unexpected )", True),
    "missing ]": ("missing closing ]", False),
    "missing argument to repetition operator": ("missing argument to repetition operator", False),
    "no argument for repetition operator": ("missing argument to repetition operator", False),
    "bad repetition operator": ("invalid nested repetition operator", False),
    "invalid repetition size": ("invalid repeat count", False),
    "invalid perl operator": ("invalid or unsupported Perl syntax", False),
    "invalid named capture group": ("invalid named capture", False),
    "invalid escape sequence": ("invalid escape sequence", False),
    "invalid character class range": ("invalid character class range", False),
    "invalid character class": ("invalid character class", False),
    "trailing \\": ("trailing backslash at end of expression", False),
    "pattern too large": ("expression too large", True),
}
_HINTS = {"invalid or unsupported Perl syntax": "RE2 has neither look-around nor back references"}


@lru_cache(maxsize=1024)
def compile_re2(pattern: str) -> Any:
    """Compile an RE2 expression.

    Raises:
        LogQLError: the expression is not RE2 syntax; worded as Go words it.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise _go_error(reason, pattern) from None
    except (UnicodeEncodeError, ValueError):
        raise LogQLError(f"error parsing regexp: invalid UTF-8: `{pattern!a}`") from None


def _go_error(reason: str, pattern: str) -> LogQLError:
    kind, _, part = reason.partition(": ")
    wording, whole = _GO_REASONS.get(kind, (kind, False))
    if kind.startswith("trailing \\"):
        part = ""
    return LogQLError(f"error parsing regexp: {wording}: `{pattern if whole else part}`", hint=_HINTS.get(wording, ""))


@lru_cache(maxsize=1024)
def anchored(pattern: str) -> Any:
    """Compile a label matcher's expression: it must match the whole value, and `.` matches line feeds too.

    Raises:
        LogQLError: the expression is not RE2 syntax.
    """
    compile_re2(pattern)
    return compile_re2(f"^(?s:{pattern})$")


# What Loki makes of a simple expression in a label filter. It turns those made of literals, alternatives and `.*` into
# substring tests, and forgets the anchors of `a.*`, `.*a` and of alternatives with a common prefix on the way.


@dataclass(frozen=True, slots=True)
class Text:
    """A simplified expression: the value equals one of `equal`, contains one of `contains`, or is not empty."""

    equal: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    not_empty: bool = False
    anything: bool = False
    fold: bool = False  # the texts are lower case and case does not count

    def test(self, value: str) -> bool:
        if self.fold:
            value = value.lower()
        return (
            self.anything
            or value in self.equal
            or any(part in value for part in self.contains)
            or (self.not_empty and value != "")
        )


_SIMPLE = re.compile(r"(?:[^\\.+*?()\[\]{}|^$]|\\[^A-Za-z0-9]|\.[*+]\??|\||\((?:\?:)?|\))*+\Z", re.DOTALL)
_PART = re.compile(r"\.\*\??|\.\+\??|\\(.)|([^\\])", re.DOTALL)


@lru_cache(maxsize=1024)
def simplified(pattern: str) -> Text | None:
    """Give the substring tests that Loki uses for a label filter's expression; None where it uses the expression.

    The expression has been compiled before, so that its brackets are balanced.
    """
    fold = pattern.startswith("(?i)")
    if fold:
        pattern = pattern[4:].lower()
    if not _SIMPLE.match(pattern) or len(pattern) > 1000:
        return None
    node, _ = _alternatives(pattern, 0)
    found = _simplify(node)
    return replace(found, fold=True) if found is not None and fold else found


# A node is a string (literal), "any" markers as tuples, ("cat", [...]) or ("alt", [...]).
_STAR = ("star",)
_PLUS = ("plus",)


def _alternatives(pattern: str, position: int) -> tuple[Any, int]:
    branches: list[list[Any]] = [[]]
    while position < len(pattern) and pattern[position] != ")":
        char = pattern[position]
        if char == "|":
            branches.append([])
            position += 1
        elif char == "(":
            position += 3 if pattern.startswith("(?:", position) else 1
            node, position = _alternatives(pattern, position)
            _append(branches[-1], node)
            position += 1
        else:
            found = _PART.match(pattern, position)
            if found is None:
                return ("cat", []), len(pattern)
            if found[0][:2] in (".*", ".+") and found[1] is None:
                branches[-1].append(_STAR if found[0][1] == "*" else _PLUS)
            else:
                _append(branches[-1], found[1] or found[2])
            position = found.end()
    nodes = [_one(branch) for branch in branches]
    if len(nodes) == 1:
        return nodes[0], position
    return _factored(nodes), position


def _append(branch: list[Any], node: Any) -> None:
    if isinstance(node, str) and branch and isinstance(branch[-1], str):
        branch[-1] += node
    elif isinstance(node, tuple) and node[0] == "cat":
        for part in node[1]:
            _append(branch, part)
    else:
        branch.append(node)


def _one(branch: list[Any]) -> Any:
    return branch[0] if len(branch) == 1 else ("cat", branch)


def _parts(node: Any) -> list[Any]:
    return list(node[1]) if isinstance(node, tuple) and node[0] == "cat" else [node]


def _factored(nodes: list[Any]) -> Any:
    """Pull literals that neighbouring alternatives begin with in front of them, as Go's parser does."""
    out: list[Any] = []
    index = 0
    while index < len(nodes):
        prefix = _literal_head(nodes[index])
        end = index + 1
        while prefix and end < len(nodes):
            shared = _common(prefix, _literal_head(nodes[end]))
            if not shared:
                break
            prefix, end = shared, end + 1
        if end == index + 1:
            out.append(nodes[index])
        else:
            rests = []
            for node in nodes[index:end]:
                parts = _parts(node)
                head = parts[0][len(prefix) :]
                rests.append(_one([*([head] if head else []), *parts[1:]]))
            out.append(("cat", [prefix, ("alt", rests)]))
        index = end
    return out[0] if len(out) == 1 else ("alt", out)


def _literal_head(node: Any) -> str:
    parts = _parts(node)
    return parts[0] if parts and isinstance(parts[0], str) else ""


def _common(left: str, right: str) -> str:
    size = 0
    while size < min(len(left), len(right)) and left[size] == right[size]:
        size += 1
    return left[:size]


def _either(left: Text | None, right: Text) -> Text:
    if left is None:
        return right
    return Text(
        left.equal + right.equal,
        left.contains + right.contains,
        left.not_empty or right.not_empty,
        left.anything or right.anything,
    )


def _simplify(node: Any) -> Text | None:
    if isinstance(node, str):
        return Text(equal=(node,))
    if node is _STAR:
        return Text(anything=True)
    if node is _PLUS:
        return Text(not_empty=True)
    kind, parts = node
    if kind == "cat":
        return _simplify_concat(parts, "") if parts else Text(anything=True)
    result: Text | None = None
    for part in parts:
        one = _simplify(part)
        if one is None:
            return None
        result = _either(result, one)
    return result


def _simplify_concat(parts: list[Any], base: str) -> Text | None:
    if len(parts) > 3:
        return None
    current: Text | None = None
    literals = 0
    for part in parts:
        if isinstance(part, str):
            if literals:
                return None
            literals += 1
            base += part
        elif part is _STAR:
            continue
        elif part is not _PLUS and part[0] == "alt" and base:
            current = _simplify_alternatives(part[1], base, current)
            if current is None:
                return None
        else:
            return None
    if current is not None:
        return current
    return Text(contains=(base,)) if base else None


def _simplify_alternatives(nodes: list[Any], base: str, current: Text | None) -> Text | None:
    for node in nodes:
        if isinstance(node, str):
            one: Text | None = Text(contains=(base + node,))
        elif node is _STAR or node == ("cat", []):
            one = Text(contains=(base,))
        elif node is not _PLUS and node[0] == "cat":
            one = _simplify_concat(node[1], base)
        else:
            one = None
        if one is None:
            return None
        current = _either(current, one)
    return current
