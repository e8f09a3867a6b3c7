"""The grammar of LogQL (LALR), and Loki's wording of what is wrong with a query that does not fit it.

Loki's parser comes from goyacc, whose messages depend on the automaton: at an error it first makes every reduction that
is a state's default, then names the tokens that could follow if there are at most four. The rules here give the same
automaton, so the same can be computed from lark's tables. Where the grammar is ambiguous (operators, label filters) a
token is always shifted; `build` puts the chains into order by precedence.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from lark import Lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer
from lark.lexer import Token as LarkToken
from lark.parsers.lalr_analysis import Reduce, Shift

from .build import Builder
from .errors import LogQLError
from .lexer import KEYWORDS, SYMBOLS, Token, tokens

# In the order in which Loki declares them: it is the order in which an error names them.
TERMINALS = """BYTES IDENTIFIER STRING NUMBER FUNCTION_FLAG DURATION RANGE EQ RE NRE NPA OPEN_BRACE CLOSE_BRACE
OPEN_BRACKET CLOSE_BRACKET COMMA DOT PIPE_MATCH PIPE_EXACT PIPE_PATTERN OPEN_PARENTHESIS CLOSE_PARENTHESIS BY WITHOUT
COUNT_OVER_TIME RATE RATE_COUNTER SUM SORT SORT_DESC AVG MAX MIN COUNT STDDEV STDVAR BOTTOMK TOPK APPROX_TOPK
BYTES_OVER_TIME BYTES_RATE BOOL JSON REGEXP LOGFMT PIPE LINE_FMT LABEL_FMT UNWRAP AVG_OVER_TIME SUM_OVER_TIME
MIN_OVER_TIME MAX_OVER_TIME STDVAR_OVER_TIME STDDEV_OVER_TIME QUANTILE_OVER_TIME BYTES_CONV DURATION_CONV
DURATION_SECONDS_CONV FIRST_OVER_TIME LAST_OVER_TIME ABSENT_OVER_TIME VECTOR LABEL_REPLACE UNPACK OFFSET PATTERN IP ON
IGNORING GROUP_LEFT GROUP_RIGHT DECOLORIZE DROP KEEP VARIANTS OF OR AND UNLESS CMP_EQ NEQ LT LTE GT GTE ADD SUB MUL DIV
MOD POW""".split()
SHOWN = {kind: text for text, kind in (SYMBOLS | KEYWORDS).items()} | {"$END": "$end"}

GRAMMAR = r"""
start: expr -> root
expr: log_expr -> same
    | metric_expr -> same
    | variants_expr -> same
log_expr: selector -> logs
    | selector pipeline -> logs
    | OPEN_PARENTHESIS log_expr CLOSE_PARENTHESIS -> second
metric_expr: range_aggregation -> same
    | vector_aggregation -> same
    | binary_operation -> same
    | literal -> same
    | label_replace -> same
    | vector_literal -> same
    | OPEN_PARENTHESIS metric_expr CLOSE_PARENTHESIS -> parenthesised
variants_expr: VARIANTS OPEN_PARENTHESIS metric_exprs CLOSE_PARENTHESIS OF OPEN_PARENTHESIS log_range CLOSE_PARENTHESIS -> variants
metric_exprs: metric_expr -> first_item
    | metric_exprs COMMA metric_expr -> next_item

log_range: selector RANGE -> log_range
    | selector RANGE offset -> log_range
    | OPEN_PARENTHESIS selector CLOSE_PARENTHESIS RANGE -> log_range
    | OPEN_PARENTHESIS selector CLOSE_PARENTHESIS RANGE offset -> log_range
    | selector RANGE unwrap -> log_range
    | selector RANGE offset unwrap -> log_range
    | OPEN_PARENTHESIS selector CLOSE_PARENTHESIS RANGE unwrap -> log_range
    | OPEN_PARENTHESIS selector CLOSE_PARENTHESIS RANGE offset unwrap -> log_range
    | selector unwrap RANGE -> log_range
    | selector unwrap RANGE offset -> log_range
    | OPEN_PARENTHESIS selector unwrap CLOSE_PARENTHESIS RANGE -> log_range
    | OPEN_PARENTHESIS selector unwrap CLOSE_PARENTHESIS RANGE offset -> log_range
    | selector pipeline RANGE -> log_range
    | selector pipeline RANGE offset -> log_range
    | OPEN_PARENTHESIS selector pipeline CLOSE_PARENTHESIS RANGE -> log_range
    | OPEN_PARENTHESIS selector pipeline CLOSE_PARENTHESIS RANGE offset -> log_range
    | selector pipeline unwrap RANGE -> log_range
    | selector pipeline unwrap RANGE offset -> log_range
    | OPEN_PARENTHESIS selector pipeline unwrap CLOSE_PARENTHESIS RANGE -> log_range
    | OPEN_PARENTHESIS selector pipeline unwrap CLOSE_PARENTHESIS RANGE offset -> log_range
    | selector RANGE pipeline -> log_range
    | selector RANGE offset pipeline -> log_range
    | selector RANGE pipeline unwrap -> log_range
    | selector RANGE offset pipeline unwrap -> log_range
    | OPEN_PARENTHESIS log_range CLOSE_PARENTHESIS -> second
unwrap: PIPE UNWRAP IDENTIFIER -> unwrap
    | PIPE UNWRAP conversion OPEN_PARENTHESIS IDENTIFIER CLOSE_PARENTHESIS -> unwrap_converted
    | unwrap PIPE label_filter -> unwrap_filtered
conversion: BYTES_CONV -> word
    | DURATION_CONV -> word
    | DURATION_SECONDS_CONV -> word
offset: OFFSET DURATION -> offset

range_aggregation: range_op OPEN_PARENTHESIS log_range CLOSE_PARENTHESIS -> range_aggregation
    | range_op OPEN_PARENTHESIS NUMBER COMMA log_range CLOSE_PARENTHESIS -> range_aggregation
    | range_op OPEN_PARENTHESIS log_range CLOSE_PARENTHESIS grouping -> range_aggregation
    | range_op OPEN_PARENTHESIS NUMBER COMMA log_range CLOSE_PARENTHESIS grouping -> range_aggregation
vector_aggregation: vector_op OPEN_PARENTHESIS metric_expr CLOSE_PARENTHESIS -> vector_aggregation
    | vector_op grouping OPEN_PARENTHESIS metric_expr CLOSE_PARENTHESIS -> vector_aggregation
    | vector_op OPEN_PARENTHESIS metric_expr CLOSE_PARENTHESIS grouping -> vector_aggregation
    | vector_op OPEN_PARENTHESIS NUMBER COMMA metric_expr CLOSE_PARENTHESIS -> vector_aggregation
    | vector_op OPEN_PARENTHESIS NUMBER COMMA metric_expr CLOSE_PARENTHESIS grouping -> vector_aggregation
    | vector_op grouping OPEN_PARENTHESIS NUMBER COMMA metric_expr CLOSE_PARENTHESIS -> vector_aggregation
label_replace: LABEL_REPLACE OPEN_PARENTHESIS metric_expr COMMA STRING COMMA STRING COMMA STRING COMMA STRING CLOSE_PARENTHESIS -> label_replace

selector: OPEN_BRACE matchers CLOSE_BRACE -> second
    | OPEN_BRACE CLOSE_BRACE -> nothing
matchers: matcher -> first_item
    | matchers COMMA matcher -> next_item
matcher: IDENTIFIER EQ STRING -> matcher
    | IDENTIFIER NEQ STRING -> matcher
    | IDENTIFIER RE STRING -> matcher
    | IDENTIFIER NRE STRING -> matcher

pipeline: stage -> first_item
    | pipeline stage -> next_stage
stage: line_filters -> same
    | PIPE logfmt_parser -> second
    | PIPE label_parser -> second
    | PIPE json_fields -> second
    | PIPE logfmt_fields -> second
    | PIPE label_filter -> label_filter_stage
    | PIPE line_format -> second
    | PIPE decolorize -> second
    | PIPE label_format -> second
    | PIPE drop_labels -> second
    | PIPE keep_labels -> second
filter: PIPE_MATCH -> word
    | PIPE_EXACT -> word
    | PIPE_PATTERN -> word
    | NRE -> word
    | NEQ -> word
    | NPA -> word
filter_op: IP -> word
or_filter: STRING -> line_pattern
    | STRING OR or_filter -> line_patterns
    | filter_op OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS -> line_ip
line_filter: filter STRING -> line_filter
    | filter filter_op OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS -> line_filter_ip
    | line_filter OR or_filter -> line_filter_or
line_filters: line_filter -> first_item
    | line_filters line_filter -> next_stage
parser_flags: FUNCTION_FLAG -> first_item
    | parser_flags FUNCTION_FLAG -> next_stage
logfmt_parser: LOGFMT -> logfmt
    | LOGFMT parser_flags -> logfmt
label_parser: JSON -> json
    | REGEXP STRING -> regexp
    | UNPACK -> unpack
    | PATTERN STRING -> pattern
json_fields: JSON extractions -> json
logfmt_fields: LOGFMT parser_flags extractions -> logfmt
    | LOGFMT extractions -> logfmt_plain
line_format: LINE_FMT STRING -> line_format
decolorize: DECOLORIZE -> decolorize
assignment: IDENTIFIER EQ IDENTIFIER -> rename
    | IDENTIFIER EQ STRING -> assign
assignments: assignment -> first_item
    | assignments COMMA assignment -> next_item
label_format: LABEL_FMT assignments -> label_format

label_filter: matcher -> string_filter
    | ip_filter -> same
    | unit_filter -> same
    | number_filter -> same
    | OPEN_PARENTHESIS label_filter CLOSE_PARENTHESIS -> grouped_filter
    | label_filter label_filter -> filter_chain
    | label_filter AND label_filter -> filter_chain
    | label_filter COMMA label_filter -> filter_chain
    | label_filter OR label_filter -> filter_chain
extraction: IDENTIFIER EQ STRING -> extraction
    | IDENTIFIER -> extraction
extractions: extraction -> first_item
    | extractions COMMA extraction -> next_item
ip_filter: IDENTIFIER EQ IP OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS -> ip_filter
    | IDENTIFIER NEQ IP OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS -> ip_filter
unit_filter: duration_filter -> same
    | bytes_filter -> same
duration_filter: IDENTIFIER GT DURATION -> duration_filter
    | IDENTIFIER GTE DURATION -> duration_filter
    | IDENTIFIER LT DURATION -> duration_filter
    | IDENTIFIER LTE DURATION -> duration_filter
    | IDENTIFIER NEQ DURATION -> duration_filter
    | IDENTIFIER EQ DURATION -> duration_filter
    | IDENTIFIER CMP_EQ DURATION -> duration_filter
bytes_filter: IDENTIFIER GT BYTES -> bytes_filter
    | IDENTIFIER GTE BYTES -> bytes_filter
    | IDENTIFIER LT BYTES -> bytes_filter
    | IDENTIFIER LTE BYTES -> bytes_filter
    | IDENTIFIER NEQ BYTES -> bytes_filter
    | IDENTIFIER EQ BYTES -> bytes_filter
    | IDENTIFIER CMP_EQ BYTES -> bytes_filter
number_filter: IDENTIFIER GT literal -> number_filter
    | IDENTIFIER GTE literal -> number_filter
    | IDENTIFIER LT literal -> number_filter
    | IDENTIFIER LTE literal -> number_filter
    | IDENTIFIER NEQ literal -> number_filter
    | IDENTIFIER EQ literal -> number_filter
    | IDENTIFIER CMP_EQ literal -> number_filter
named_matcher: IDENTIFIER -> word
    | matcher -> same
named_matchers: named_matcher -> first_item
    | named_matchers COMMA named_matcher -> next_item
drop_labels: DROP named_matchers -> drop
keep_labels: KEEP named_matchers -> keep

binary_operation: expr OR modifier expr -> operation
    | expr AND modifier expr -> operation
    | expr UNLESS modifier expr -> operation
    | expr ADD modifier expr -> operation
    | expr SUB modifier expr -> operation
    | expr MUL modifier expr -> operation
    | expr DIV modifier expr -> operation
    | expr MOD modifier expr -> operation
    | expr POW modifier expr -> operation
    | expr CMP_EQ modifier expr -> operation
    | expr NEQ modifier expr -> operation
    | expr GT modifier expr -> operation
    | expr GTE modifier expr -> operation
    | expr LT modifier expr -> operation
    | expr LTE modifier expr -> operation
bool_modifier: -> plain
    | BOOL -> bool
on_or_ignoring: bool_modifier ON OPEN_PARENTHESIS labels CLOSE_PARENTHESIS -> matching
    | bool_modifier ON OPEN_PARENTHESIS CLOSE_PARENTHESIS -> matching
    | bool_modifier IGNORING OPEN_PARENTHESIS labels CLOSE_PARENTHESIS -> matching
    | bool_modifier IGNORING OPEN_PARENTHESIS CLOSE_PARENTHESIS -> matching
modifier: bool_modifier -> same
    | on_or_ignoring -> same
    | on_or_ignoring GROUP_LEFT -> group
    | on_or_ignoring GROUP_LEFT OPEN_PARENTHESIS CLOSE_PARENTHESIS -> group
    | on_or_ignoring GROUP_LEFT OPEN_PARENTHESIS labels CLOSE_PARENTHESIS -> group
    | on_or_ignoring GROUP_RIGHT -> group
    | on_or_ignoring GROUP_RIGHT OPEN_PARENTHESIS CLOSE_PARENTHESIS -> group
    | on_or_ignoring GROUP_RIGHT OPEN_PARENTHESIS labels CLOSE_PARENTHESIS -> group
literal: NUMBER -> number
    | ADD NUMBER -> signed
    | SUB NUMBER -> signed
vector_literal: vector OPEN_PARENTHESIS NUMBER CLOSE_PARENTHESIS -> vector_literal
vector: VECTOR -> word
vector_op: SUM -> word
    | AVG -> word
    | COUNT -> word
    | MAX -> word
    | MIN -> word
    | STDDEV -> word
    | STDVAR -> word
    | BOTTOMK -> word
    | TOPK -> word
    | SORT -> word
    | SORT_DESC -> word
    | APPROX_TOPK -> word
range_op: COUNT_OVER_TIME -> word
    | RATE -> word
    | RATE_COUNTER -> word
    | BYTES_OVER_TIME -> word
    | BYTES_RATE -> word
    | AVG_OVER_TIME -> word
    | SUM_OVER_TIME -> word
    | MIN_OVER_TIME -> word
    | MAX_OVER_TIME -> word
    | STDVAR_OVER_TIME -> word
    | STDDEV_OVER_TIME -> word
    | QUANTILE_OVER_TIME -> word
    | FIRST_OVER_TIME -> word
    | LAST_OVER_TIME -> word
    | ABSENT_OVER_TIME -> word
labels: IDENTIFIER -> first_item
    | labels COMMA IDENTIFIER -> next_item
grouping: BY OPEN_PARENTHESIS labels CLOSE_PARENTHESIS -> grouping
    | WITHOUT OPEN_PARENTHESIS labels CLOSE_PARENTHESIS -> grouping
    | BY OPEN_PARENTHESIS CLOSE_PARENTHESIS -> grouping
    | WITHOUT OPEN_PARENTHESIS CLOSE_PARENTHESIS -> grouping
"""  # noqa: E501 - one rule a line reads best


class _NoLexer(Lexer):
    """Tokens are fed one by one, so that the error is Loki's and not lark's."""

    def __init__(self, conf: Any) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Any:
        return iter(())


@cache
def _lark() -> Lark:
    terminals = "\n".join(f"%declare {name}" for name in TERMINALS)
    return Lark(
        GRAMMAR + terminals,
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
    if token.kind == "CLOSE_PARENTHESIS" and not expected:
        return "a range such as [5m] may be missing before the parenthesis"
    if token.kind in ("BY", "JSON", "PATTERN", "ON", "OF", "KEEP", "DROP"):
        return f"`{SHOWN[token.kind]}` is a keyword and cannot name a label here"
    if token.kind == "IDENTIFIER" and "STRING" in expected:
        return "strings stand in double quotes or backquotes"
    return ""
