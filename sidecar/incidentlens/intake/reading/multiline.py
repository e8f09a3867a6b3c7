"""Which lines begin an event and which carry on the one before.

A line with a header begins one. Of the lines without, columns of regular expressions tell the kind (a stack frame, a
cause, the head of a trace, indented text, ...), and one walk over them decides. The walk touches only lines without a
header that stand near such a kind: lines of an ordinary stream never enter it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from incidentlens.model.clock import SECOND

MAX_LINES = 1000
MAX_BYTES = 256 * 1024
_GAP = 5 * SECOND  # a line after a longer pause carries nothing on
_FRAME_GAP = 60 * SECOND  # unless it is a stack frame, which belongs to nothing else
_AHEAD = 12  # lines between the head of a trace and its first frame

# Formats whose header is a line of its own: all that follows up to the next header belongs to it.
STICKY = frozenset(("mysql_slow", "rabbitmq", "jul"))

_LOOK = 300
_TYPE = (
    r"(?:[A-Za-z_$][A-Za-z0-9_$]*(?:[.\\]|::))*(?:[A-Z][A-Za-z0-9_$]*)?"
    r"(?:Exception|Error|Throwable|Failure|Fault|Interrupt|Exit)[A-Za-z0-9_$]*"
)
BLANK, PYTHON, FRAME, CAUSE, HEAD, RUBY, INDENT, CLOSE, CALL, NAME, TYPED, PLAIN = range(12)
_KINDS: tuple[tuple[int, str], ...] = (
    (BLANK, r"^\s*$"),
    (PYTHON, r"^\s*File \"[^\"]*\", line"),
    # Ruby names the place before the error; what else has that place is a frame.
    (RUBY, r"^\S+:[0-9]+:in [`'][^']*': .* \([A-Z][A-Za-z0-9_:]*\)$"),
    (
        FRAME,
        r"^(?:\s|\\t)*at (?:[A-Za-z_$<>/\[(].*[(:/.]|\S+$)|^\s*\.\.\. [0-9]+ (?:more|common frames|frames)"
        r"|^goroutine [0-9]+ \[|^\s+\S+\.(?:go|rs|c|cc|cpp):[0-9]+|^created by |^\[signal |^exit status [0-9]"
        r"|^\s*(?:from )?\S+:[0-9]+:in [`']|^\s*\S+ \([0-9.]+\) \S+:[0-9]+:in |^\s*#[0-9]+ +\S"
        r"|^\s+[0-9]+: +(?:0x[0-9a-f]+|[a-z_<])"
        r"|^\s*--- End of |^\s*<asynchronous suspension>|^stack backtrace:|^\s+[\^~]+\s*$"
        r"|^\s+\(.*\) (?:lib|src)/\S+:[0-9]+|^[0-9]+ +\S+ +0x[0-9a-f]+ ",
    ),
    (
        CAUSE,
        r"^\s*(?:Caused by|Suppressed|Wrapped by|Cause)\b.*|^\s*nested exception is|^During handling of the above"
        r"|^The above exception was"
        r"|^\s*(?:Current )?[Ss]tack ?trace:|^Node\.js v[0-9]|^Next \S|^\s*\[cause\]|^\s*thrown in |^note: [A-Zr]"
        r"|^\s*\[errors\]|^\s*---> ",
    ),
    (
        HEAD,
        rf"^\s*(?:Exception in thread |Traceback \(most recent call last|Unhandled [Ee]xception"
        r"|\+ Exception Group Traceback|\*\* \([A-Z]"
        r"|panic: |[Ff]atal error: |Uncaught |thread '.*' panicked at"
        rf"|PHP (?:Fatal|Parse) error|exception '|{_TYPE}(?:[:(\s].*)?$|SystemExit|KeyboardInterrupt)",
    ),
    (INDENT, r"^[ \t]+\S|^\\t"),
    (CLOSE, r"^[}\])]|^</?[A-Za-z?!]"),
    (CALL, r"^[A-Za-z_][A-Za-z0-9_./*()\[\]{}<>$,-]*\([^ ]*(?:, [^ ]*)*\)$"),
    (NAME, r"^[A-Za-z_][^ \t:]*[./][^ \t:]*$"),
    (TYPED, r"^[A-Za-z_][A-Za-z0-9_.]*(?:: .*)?$"),
)


@dataclass
class Cut:
    """What the bounds on an event cut off: events that had to be begun anew."""

    events: int = 0


def kinds(body: pl.Series) -> pl.Series:
    """The kind of each line, by its first characters."""
    text = pl.col("body")
    kind = pl.lit(PLAIN)
    for code, pattern in reversed(_KINDS):
        kind = pl.when(text.str.contains(pattern)).then(pl.lit(code)).otherwise(kind)
    return body.str.slice(0, _LOOK).alias("body").to_frame().select(kind.cast(pl.UInt8)).to_series()


def starts(
    owner: pl.Series,
    head: pl.Series,
    body: pl.Series,
    size: pl.Series,
    ts: pl.Series,
    failing: pl.Series,
    sticky: pl.Series,
    glued: pl.Series,
    cut: Cut,
) -> pl.Series:
    """True for each line that begins an event. All columns run owner by owner, each owner's lines in order.

    `head`: the line has a header. `failing`: its level or words tell of a failure. `sticky`: every line up to the next
    header belongs to it. `glued`: a piece of the line before. What the bounds cut off is counted in `cut`.
    """
    result = head.clone()
    loose = (~head).arg_true()
    if not len(loose):
        return result
    found = kinds(body.gather(loose))
    lead = body.gather(loose).str.len_chars() - body.gather(loose).str.strip_chars_start(" \t").str.len_chars()
    if (found >= CLOSE).all() and not head.any() and not glued.any():
        return pl.Series([True]).new_from_index(0, len(head))  # plain text: a line is an event
    walk = _Walk(
        rows=loose.to_list(),
        kinds=found.to_list(),
        leads=lead.to_list(),
        opens=body.gather(loose).str.contains(r"[:,({\[;=\\]\s*$").to_list(),
        owners=owner.gather(loose).to_list(),
        times=ts.gather(loose).to_list(),
        sizes=size.gather(loose).to_list(),
        glued=glued.gather(loose).to_list(),
    )
    before = [max(row - 1, 0) for row in walk.rows]
    walk.before_head = head.gather(before).to_list()
    walk.before_owner = owner.gather(before).to_list()
    walk.before_time = ts.gather(before).to_list()
    walk.before_failing = failing.gather(before).to_list()
    walk.before_sticky = sticky.gather(before).to_list()
    walk.before_open = body.gather(before).str.contains(r"[:,({\[=\\]\s*$").to_list()
    walk.before_size = size.gather(before).to_list()
    begun = walk.run(cut)
    return result.scatter(begun, True) if begun else result


class _Walk:
    """The walk over the lines without a header, as lists: plain Python is fastest for a few of them."""

    before_head: list[bool]
    before_owner: list[int]
    before_time: list[int]
    before_failing: list[bool]
    before_sticky: list[bool]
    before_open: list[bool]
    before_size: list[int]

    def __init__(
        self,
        rows: list[int],
        kinds: list[int],
        leads: list[int],
        opens: list[bool],
        owners: list[int],
        times: list[int],
        sizes: list[int],
        glued: list[bool],
    ) -> None:
        self.rows, self.kinds, self.leads, self.opens = rows, kinds, leads, opens
        self.owners, self.times, self.sizes, self.glued = owners, times, sizes, glued

    def run(self, cut: Cut) -> list[int]:
        """The rows that begin an event."""
        begun: list[int] = []
        kinds, rows = self.kinds, self.rows
        count = size = 0  # lines and bytes of the current event
        depth = 0  # indentation of its first line
        trace = False  # it is a stack trace, or has one
        framed = False  # a frame of it was seen
        python = False  # its final `Type: message` is still to come
        caret = False  # Node's excerpt of the code was seen, its error is still to come
        joined = False  # the last line was a continuation
        open_ = False  # the last line asks for more
        failing = sticky = False
        last_kind = PLAIN
        last_time = 0
        for index, kind in enumerate(kinds):
            row = rows[index]
            fresh = index == 0 or rows[index - 1] != row - 1 or self.owners[index - 1] != self.owners[index]
            if fresh:
                after_head = row > 0 and self.before_head[index] and self.before_owner[index] == self.owners[index]
                count, size = (1, self.before_size[index]) if after_head else (0, 0)
                depth = 0
                trace = framed = python = caret = joined = False
                failing, sticky = self.before_failing[index], self.before_sticky[index]
                open_ = after_head and self.before_open[index]
                last_kind, last_time = PLAIN, self.before_time[index]
            if not count:
                join = False
            elif self.glued[index]:
                join = True
            else:
                gap = self.times[index] - last_time
                near = gap <= (_FRAME_GAP if kind in (PYTHON, FRAME, CAUSE) else _GAP)
                join = near and self._joins(
                    index, kind, depth, trace, framed, python, caret, joined, open_, failing, sticky, last_kind
                )
            if join and (count >= MAX_LINES or size + self.sizes[index] > MAX_BYTES):
                # What is over the bound goes on as an event of its own, in the same state.
                cut.events += 1
                begun.append(row)
                count = size = 0
            elif not join:
                begun.append(row)
                count, size, depth = 0, 0, self.leads[index]
                trace = framed = python = caret = failing = sticky = False
            count += 1
            size += self.sizes[index] + 1
            joined = join
            last_time = self.times[index]
            if kind == BLANK:
                continue
            if kind in (HEAD, CAUSE, RUBY):
                trace = True
            if kind in (FRAME, PYTHON):
                trace = True
                python = kind == PYTHON or python  # Python marks the place in a line with carets below it
                caret = not framed and last_kind == INDENT and self.leads[index] > 0
                framed = True
            elif python and kind in (HEAD, TYPED, PLAIN) and self.leads[index] == 0:
                python = False
            if kind == HEAD and not self.leads[index]:
                caret = False
            open_ = self.opens[index]
            last_kind = kind
        return begun

    def _joins(
        self,
        index: int,
        kind: int,
        depth: int,
        trace: bool,
        framed: bool,
        python: bool,
        caret: bool,
        joined: bool,
        open_: bool,
        failing: bool,
        sticky: bool,
        last_kind: int,
    ) -> bool:
        """Whether a line carries on the event before it in its stream."""
        if sticky or kind in (BLANK, PYTHON, FRAME, CAUSE):
            return True
        if kind == HEAD:
            if not trace:
                return failing or open_
            # The error a traceback ends in, one that a cause line announces, or what a bare head names.
            return python or caret or last_kind == CAUSE or (last_kind == HEAD and not framed) or (open_ and not framed)
        if kind == RUBY:
            return failing or open_ or (framed and last_kind == FRAME)  # the cause of the error above
        if kind == INDENT:
            return trace or self.leads[index] > depth or open_
        if open_ and not framed:
            return True
        if kind == CLOSE:
            return joined
        if kind == CALL and trace and not python:
            return True
        if kind in (CALL, NAME) and (trace or failing) and self._frame_follows(index):
            return True  # Go prints a function and its place on two lines
        if python:
            return kind == TYPED and last_kind in (PYTHON, FRAME, INDENT)
        if trace and not framed:
            return self._frame_ahead(index)
        return False

    def _frame_follows(self, index: int) -> bool:
        after = index + 1
        adjacent = after < len(self.kinds) and self.rows[after] == self.rows[index] + 1
        return adjacent and self.owners[after] == self.owners[index] and self.kinds[after] == FRAME

    def _frame_ahead(self, index: int) -> bool:
        """True where the trace whose head was seen gets its first frame within the next lines."""
        last = min(index + _AHEAD, len(self.kinds))
        for ahead in range(index + 1, last):
            if self.rows[ahead] != self.rows[ahead - 1] + 1 or self.owners[ahead] != self.owners[index]:
                return False
            if self.kinds[ahead] in (PYTHON, FRAME):
                return True
            if self.kinds[ahead] == HEAD:
                return False
        return False


def spans(begins: Sequence[bool]) -> list[int]:
    """Event numbers of lines whose beginnings are given. For tests."""
    number, result = -1, []
    for begin in begins:
        number += bool(begin)
        result.append(number)
    return result
