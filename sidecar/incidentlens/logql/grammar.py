"""The grammar of LogQL (LALR), and Loki's wording of what is wrong with a query that does not fit it.

Loki's parser comes from goyacc, whose messages depend on the automaton: at an error it first makes every reduction that
is a state's default, then names the tokens that could follow if there are at most four. The rules here give the same
automaton, so the same can be computed from lark's tables. Where the grammar is ambiguous (operators, label filters) a
token is always shifted; `build` puts the chains into order by precedence.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer
from lark.lexer import Token as LarkToken
from lark.parsers.lalr_analysis import Reduce, Shift

from .build import Builder
from .errors import LogQLError
from .lexer import KEYWORDS, SYMBOLS, Token, tokens

GRAMMAR = (Path(__file__).parent / "grammar.lark").read_text("utf-8")
# In the order in which Loki declares them: it is the order in which an error names them.
TERMINALS = tuple(name for line in GRAMMAR.splitlines() if line.startswith("%declare ") for name in line.split()[1:])
SHOWN = {kind: text for text, kind in (SYMBOLS | KEYWORDS).items()} | {"$END": "$end"}


class _NoLexer(Lexer):
    """Tokens are fed one by one, so that the error is Loki's and not lark's."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Any:
        return iter(())


@cache
def _lark() -> Lark:
    return Lark(
        GRAMMAR,
        parser="lalr",
        lexer=_NoLexer,
        transformer=Builder(),
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


def parse_tokens(text: str) -> Any:
    """Parse a query into what `Builder` makes of it, not yet validated.

    Raises:
        LogQLError: as Loki words it.
    """
    parser = _lark().parse_interactive()
    for token in tokens(text):
        last = token.kind == "$END"
        try:
            result = parser.feed_token(LarkToken(token.kind, token))
        except UnexpectedToken as error:
            state: Any = error.state
            raise _syntax_error(state.state_stack, state.parse_conf.parse_table, token) from None
        if last:
            return result
    raise AssertionError("the lexer always ends with $END")


def _syntax_error(stack: list[Any], table: Any, token: Token) -> LogQLError:
    """Word the error as goyacc does; `stack` are the automaton's states, the top last."""
    stack = list(stack)
    while (rule := _default_reduction(table.states[stack[-1]])) is not None:
        if size := len(rule.expansion):
            del stack[-size:]
        if rule.origin.name == "$root_start" or rule.origin.name not in table.states[stack[-1]]:
            break
        stack.append(table.states[stack[-1]][rule.origin.name][1])
    shifts = {name for name, (action, _) in table.states[stack[-1]].items() if action is Shift}
    expected = [name for name in TERMINALS if name in shifts]
    message = f"syntax error: unexpected {SHOWN.get(token.kind, token.kind)}"
    if 0 < len(expected) <= 4:
        message += ", expecting " + " or ".join(SHOWN.get(name, name) for name in expected)
    return LogQLError(message, token.line, token.column, _hint(token, expected))


def _default_reduction(actions: dict[str, tuple[Any, Any]]) -> Any:
    counts: dict[Any, int] = {}
    for name in ("$END", *TERMINALS):
        action = actions.get(name)
        if action is not None and action[0] is Reduce:
            counts[action[1]] = counts.get(action[1], 0) + 1
    return max(counts, key=lambda rule: counts[rule]) if counts else None


def _hint(token: Token, expected: list[str]) -> str:
    if token.kind == "$END":
        return "the query ends too early: a bracket, a string or an operand is missing"
    if token.kind == "CLOSE_PARENTHESIS" and "RANGE" in expected:
        return "a range such as [5m] may be missing before the parenthesis"
    if token.kind in ("BY", "JSON", "PATTERN", "ON", "OF", "KEEP", "DROP"):
        return f"`{SHOWN[token.kind]}` is a keyword and cannot name a label here"
    if token.kind == "IDENTIFIER" and "STRING" in expected:
        return "strings stand in double quotes or backquotes"
    return ""
