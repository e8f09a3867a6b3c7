"""Reads the text of a template into nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ..errors import LogQLError
from ..units import UnitError, parse_float, quote, unquote

MAX_DEPTH = 50
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]++)
    |(?P<string>"(?:[^"\\\n]|\\.)*+"|`[^`]*+`)
    |(?P<char>'(?:[^'\\\n]|\\.)*+')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]++|(?:[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?))
    |(?P<field>\.[A-Za-z_]\w*+)
    |(?P<variable>\$\w*+)
    |(?P<word>[A-Za-z_]\w*+)
    |(?P<mark>:=|\(|\)|\||=|,|\.)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Arg:
    """One argument: `kind` is constant, dot, nil, field, variable, function, pipe or chain."""

    kind: str
    value: Any
    position: int
    source: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    args: tuple[Arg, ...]
    position: int
    source: str


@dataclass(frozen=True, slots=True)
class Pipe:
    commands: tuple[Command, ...]
    variables: tuple[str, ...] = ()
    assigns: bool = False  # `=`, not `:=`


@dataclass(slots=True)
class Block:
    """`if`, `with`, `range` (with `pipe`, `body`, `other`), `text`, `action`, `break` or `continue`."""

    kind: str
    text: str = ""
    pipe: Pipe | None = None
    body: list[Block] = field(default_factory=list)
    other: list[Block] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def parse_template(text: str, name: str, functions: frozenset[str]) -> list[Block]:
    """Read a template.

    Raises:
        LogQLError: as Go words it: `template: line:1: function "x" not defined`.
    """
    return _Parser(text, name, functions).run()


class _Parser:
    def __init__(self, text: str, name: str, functions: frozenset[str]) -> None:
        self.text = text
        self.name = name
        self.functions = functions
        self.tokens: list[_Token] = []
        self.index = 0
        self.depth = 0
        self.scopes: list[set[str]] = [{"$"}]

    def fail(self, message: str, position: int) -> LogQLError:
        line = self.text.count("\n", 0, position) + 1
        return LogQLError(
            f"template: {self.name}:{line}: {message}", hint="the template language is Go's text/template"
        )

    def run(self) -> list[Block]:
        root = Block("root")
        stack: list[tuple[Block, list[Block]]] = [(root, root.body)]
        position = 0
        trim = False
        while True:
            start = self.text.find("{{", position)
            literal = self.text[position : start if start >= 0 else len(self.text)]
            if trim:
                literal = literal.lstrip(" \t\r\n")
            if start < 0:
                if literal:
                    stack[-1][1].append(Block("text", literal))
                break
            inside = start + 2
            if self.text[inside : inside + 1] == "-" and self.text[inside + 1 : inside + 2] in (" ", "\t", "\r", "\n"):
                literal = literal.rstrip(" \t\r\n")
                inside += 2
            if literal:
                stack[-1][1].append(Block("text", literal))
            position, trim = self._action(inside, stack)
        if len(stack) > 1:
            raise self.fail("unexpected EOF", len(self.text))
        return root.body

    def _action(self, inside: int, stack: list[tuple[Block, list[Block]]]) -> tuple[int, bool]:
        """Read one action; give where it ends and whether white space after it is trimmed."""
        if self.text.startswith("/*", inside):
            end = self.text.find("*/", inside)
            closing = re.compile(r"[ \t\r\n]*+(-)?}}").match(self.text, end + 2) if end >= 0 else None
            if closing is None:
                raise self.fail("unclosed comment" if end < 0 else "comment ends before closing delimiter", inside)
            return closing.end(), bool(closing[1])
        end, trim = self._lex(inside)
        while self.tokens and self.tokens[0].kind == "space":
            del self.tokens[0]
        while self.tokens and self.tokens[-1].kind == "space":
            del self.tokens[-1]
        self.index = 0
        if not self.tokens:
            raise self.fail("missing value for command", inside)
        first = self.tokens[0]
        if first.kind == "word" and first.text in ("if", "with", "range"):
            self.index = 1
            self.depth += 1
            if len(stack) > MAX_DEPTH:
                raise self.fail("nested too deeply", inside)
            self.scopes.append(set(self.scopes[-1]))
            block = Block(first.text, pipe=self._pipe(first.text))
            stack[-1][1].append(block)
            stack.append((block, block.body))
        elif first.kind == "word" and first.text == "else":
            self._else(first, stack)
        elif first.kind == "word" and first.text == "end":
            if len(stack) == 1:
                raise self.fail("unexpected {{end}}", inside)
            stack.pop()
            self.scopes.pop()
        elif first.kind == "word" and first.text in ("break", "continue"):
            if not any(block.kind == "range" for block, _ in stack):
                raise self.fail(f"{{{{{first.text}}}}} outside {{{{range}}}}", inside)
            stack[-1][1].append(Block(first.text))
        elif first.kind == "word" and first.text in ("define", "template", "block"):
            raise self.fail(f"{{{{{first.text}}}}} is not supported", inside)
        else:
            stack[-1][1].append(Block("action", pipe=self._pipe("command")))
        return end, trim

    def _else(self, first: _Token, stack: list[tuple[Block, list[Block]]]) -> None:
        block, target = stack[-1]
        owner = block.pipe is not None and target is block.body
        if len(stack) == 1 or not owner:
            raise self.fail("unexpected {{else}}", first.position)
        words = [token for token in self.tokens if token.kind != "space"]
        if len(words) > 1 and words[1].text in ("if", "with"):
            self.index = self.tokens.index(words[1]) + 1
            inner = Block(words[1].text, pipe=self._pipe(words[1].text))
            block.other.append(inner)
            # The inner block takes the place of the outer one: one `end` closes both.
            stack[-1] = (inner, inner.body)
        else:
            stack[-1] = (block, block.other)

    def _lex(self, position: int) -> tuple[int, bool]:
        self.tokens = []
        text = self.text
        while True:
            if text.startswith("}}", position):
                return position + 2, False
            closing = re.compile(r"[ \t\r\n]++-}}").match(text, position)
            if closing is not None:
                return closing.end(), True
            if position >= len(text):
                raise self.fail("unclosed action", position)
            found = _TOKEN.match(text, position)
            if found is None:
                char = text[position]
                if char == '"':
                    raise self.fail("unterminated quoted string", position)
                if char == "`":
                    raise self.fail("unterminated raw quoted string", position)
                if char == "'":
                    raise self.fail("unterminated character constant", position)
                raise self.fail(f"unexpected {quote(char)} in command", position)
            kind = found.lastgroup or ""
            self.tokens.append(_Token(kind, found[0], position))
            position = found.end()

    # Pipelines

    def _peek(self) -> _Token | None:
        return self.tokens[self.index] if self.index < len(self.tokens) else None

    def _skip_space(self) -> None:
        while (token := self._peek()) is not None and token.kind == "space":
            self.index += 1

    def _pipe(self, context: str, closing: str = "") -> Pipe:
        self._skip_space()
        variables, assigns = self._declaration(context)
        commands: list[Command] = []
        while True:
            command = self._command(closing)
            token = self._peek()
            if command is None:
                raise self.fail(f"missing value for {context}", self._position())
            if commands and command.args[0].kind == "constant":
                message = f"non executable command in pipeline stage {len(commands) + 1}"
                raise self.fail(message, command.position)
            commands.append(command)
            if token is None or token.text == closing:
                break
            if token.text == "|":
                self.index += 1
                continue
            raise self.fail(f"unexpected {quote(token.text)} in {context}", token.position)
        if closing:
            if self._peek() is None:
                raise self.fail("unclosed left paren", self._position())
            self.index += 1
        return Pipe(tuple(commands), variables, assigns)

    def _position(self) -> int:
        token = self._peek() or (self.tokens[-1] if self.tokens else None)
        return token.position if token else len(self.text)

    def _declaration(self, context: str) -> tuple[tuple[str, ...], bool]:
        """Read `$x :=`, `$x =` or, of a range, `$i, $x :=`."""
        names: list[str] = []
        index = self.index
        significant = [(at, token) for at, token in enumerate(self.tokens) if at >= index and token.kind != "space"]
        cursor = 0
        while cursor < len(significant) and significant[cursor][1].kind == "variable":
            names.append(significant[cursor][1].text)
            following = significant[cursor + 1][1].text if cursor + 1 < len(significant) else ""
            if following in (":=", "="):
                self.index = significant[cursor + 1][0] + 1
                if following == ":=":
                    self.scopes[-1].update(names)
                else:
                    for name in names:
                        self._known(name, significant[cursor][1].position)
                return tuple(names), following == "="
            if following != "," or context != "range" or len(names) > 1:
                break
            cursor += 2
        return (), False

    def _known(self, name: str, position: int) -> None:
        if name not in self.scopes[-1]:
            raise self.fail(f"undefined variable {quote(name)}", position)

    def _command(self, closing: str) -> Command | None:
        args: list[Arg] = []
        self._skip_space()
        start = self._position()
        while (token := self._peek()) is not None and token.text not in ("|", closing or None):
            if token.kind == "space":
                self.index += 1
                continue
            args.append(self._arg(token))
        if not args:
            return None
        return Command(tuple(args), start, " ".join(arg.source for arg in args))

    def _arg(self, token: _Token) -> Arg:
        self.index += 1
        position, text = token.position, token.text
        if token.kind == "string":
            try:
                value: Any = unquote(text)
            except UnitError as error:
                raise self.fail(str(error), position) from None
            return Arg("constant", value, position, text)
        if token.kind == "number":
            return Arg("constant", self._number(text, position), position, text)
        if token.kind == "char":
            try:
                value = unquote(f"`{text[1:-1]}`" if "\\" not in text else f'"{text[1:-1]}"')
            except UnitError as error:
                raise self.fail(str(error), position) from None
            if len(value) != 1:
                raise self.fail(f"malformed character constant: {text}", position)
            return Arg("constant", ord(value), position, text)
        fields: list[str] = []
        if token.kind == "field":
            fields.append(text[1:])
            kind: str = "field"
            value = None
        elif token.kind == "variable":
            self._known(text, position)
            kind, value = "variable", text
        elif token.kind == "word":
            if text in ("true", "false"):
                return Arg("constant", text == "true", position, text)
            if text == "nil":
                return Arg("nil", None, position, text)
            if text not in self.functions:
                raise self.fail(f"function {quote(text)} not defined", position)
            kind, value = "function", text
        elif text == ".":
            kind, value = "dot", None
        elif text == "(":
            self.depth += 1
            if self.depth > 500:
                raise self.fail("nested too deeply", position)
            value = self._pipe("parenthesized pipeline", ")")
            kind = "pipe"
            end = self.tokens[self.index - 1].position + 1
            text = self.text[position:end]
        else:
            raise self.fail(f"unexpected {quote(text)} in operand", position)
        while (after := self._peek()) is not None and after.kind == "field":
            if len(fields) == (1 if kind == "field" else 0):
                position = after.position  # Go names the place where a chain of fields goes on
            fields.append(after.text[1:])
            text += after.text
            self.index += 1
        after = self._peek()
        if after is not None and after.kind not in ("space",) and after.text not in ("|", ")", ","):
            raise self.fail(f"unexpected {quote(after.text)} in operand", after.position)
        return Arg(kind, value, position, text, tuple(fields))

    def _number(self, text: str, position: int) -> int | float:
        try:
            if re.fullmatch(r"[+-]?\d[\d_]*", text, re.ASCII):
                bare = text.replace("_", "")
                digits = bare.lstrip("+-")
                base = 8 if len(digits) > 1 and digits[0] == "0" else 10
                return int(bare, base)
            if text.lower().lstrip("+-").startswith("0x"):
                return int(text.replace("_", ""), 16)
            return parse_float(text)
        except (ValueError, UnitError):
            raise self.fail(f"bad number syntax: {quote(text)}", position) from None
