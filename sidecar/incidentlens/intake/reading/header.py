"""The header of a stream in no named format, learnt from a few of its lines.

Writers put before the message what is the same in kind on every line: a time stamp, a level, a thread, a process id, a
logger. So a field belongs to the header when nearly every line of a sample has a field of that kind at that place; one
that only some lines have belongs to the message. What is learnt becomes one regular expression, applied to whole
columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import polars as pl
import re2

from . import levels
from .node import HeaderNode, Parts
from .stamps import BY_NAME as STAMP_BY_NAME
from .stamps import Stamp, find

_LOOK = 400  # characters of a line that may hold its header
_MAX_LEAD = 8  # tokens before the stamp
_MAX_PIECES = 10
_STUDIED = 64  # lines that show a header as well as more would
_FEW = 8  # fewer lines than this do not show what is the same on all

# Between two fields: what closes the one before, then a separator. A dash needs a blank after it, or it is a minus.
# A word in brackets may be padded to a width: `[WARN ]`, `[ info]`.
_SEPARATES = r"(?:[ \t]*(?:::|[|:,;])[ \t]*|[ \t]+-{1,3}(?:[ \t]+|$)|[ \t]+|$)"
_SEP = rf"(?:[ \t]+\][\])>\"']*(?:{_SEPARATES})?|[\])>\"']*{_SEPARATES}|[\])>\"']+)"
_OPEN = r"(?:\[ *|[(<{\"'])?"


def _word_level(text: str) -> bool:
    return text.lower().rstrip("0123456789") in levels.HEADER_NAMES


def _calm(word: str) -> bool:
    """False for words that say what failed: they are message, however regularly they come."""
    return not re.search(r"(?i)error|exception|fail|fatal|panic|warn|timeout|refused|denied|critical", word)


@dataclass(frozen=True)
class _Piece:
    """A kind of header field. `pattern` matches the field without the separator after it."""

    name: str
    pattern: str
    weak: bool = False  # needs many lines to be believed
    accept: Callable[[str], bool] | None = None
    separator: str = _SEP  # what must follow

    def matcher(self, opened: str) -> re.Pattern[str]:
        """For samples: Python's own engine is fastest for short texts, and these are cut at `_LOOK`."""
        return _matcher(opened + "(?P<field>" + ungrouped(self.pattern) + ")" + self.separator)


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_LEVEL = _Piece("level", r"(?P<level>[A-Za-z]{3,13}[0-9]?)", accept=_word_level)
# Celery: `ERROR/ForkPoolWorker-2`. Apache: `[core:error]`.
_LEVEL_OF = _Piece(
    "level", r"(?P<level>[A-Za-z]{3,13})/[A-Za-z0-9_.-]+", accept=lambda text: _word_level(text.partition("/")[0])
)
_MODULE_LEVEL = _Piece(
    "level",
    r"\[[A-Za-z0-9_]*:(?P<level>[a-z]{3,13}[0-9]?)\]",
    accept=lambda text: _word_level(text.strip("[]").rpartition(":")[2]),
    separator=r"[ \t]+",
)
_LETTER = _Piece("level", r"(?P<level>[IWEDFTV])", accept=lambda word: True, separator=r"[\])>]*(?:[ \t]+|[|:,/])")
_KEYED = _Piece(
    "keyed",
    r"(?i:(?:trace|span|request|correlation)[_.-]?id|traceparent|thread|pid|tid)(?:[:=] ?)[^ \t,\]]+",
    separator=r"[\])>]*(?:[ \t]*[|,;][ \t]*|[ \t]+-{1,3}[ \t]+|[ \t]+|$)",
)
_BRACKET = _Piece(
    "bracket", r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]", separator=r"(?:[ \t]*[|:,;][ \t]*|[ \t]+-{1,3}(?:[ \t]+|$)|[ \t]+|$|)"
)
_ID_BRACKET = _Piece(
    "id_bracket",
    r"\[(?:req-|request|trace|corr)?[^\[\]]*\]",
    accept=lambda text: bool(re.fullmatch(r"\[[ -]*\]", text) or re.search(r"(?i)[0-9a-f]{8}|req-|trace|corr", text)),
    separator=_BRACKET.separator,
)
_ANGLE = _Piece("angle", r"<[0-9.]+>")
_PIDTID = _Piece("pid_tid", r"[0-9]+#[0-9]+:(?: \*[0-9]+)?", separator=r"[ \t]+")
_PROCESS = _Piece("logger", r"[A-Za-z][A-Za-z0-9_.-]{0,60}\[[0-9]+\]:?", separator=r"[ \t]+")
_NUMBER = _Piece(
    "number",
    r"#?[0-9]{1,20}(?:/[0-9]{1,10})?",
    weak=True,
    separator=r"[\])>\"']*(?:[ \t]+-{1,3}(?:[ \t]+|$)|[ \t]+|[|])",
)
_HEX = _Piece(
    "hex", r"(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|0x[0-9A-Fa-f]+|[0-9A-Fa-f]{12,32})", weak=True
)
_DOTTED = _Piece(
    "logger",
    r"[A-Za-z_$][A-Za-z0-9_$-]*(?:(?:[./\\]|::)[A-Za-z0-9_$<>\[\]-]+)+(?:\([^()\s]*\))?"
    r"(?:[#:@](?:[A-Za-z_<][A-Za-z0-9_<>]*:)?[0-9]+)?",
    accept=lambda text: not re.search(r"[/.]\d+(?:[/.:]|$)", text),  # an address or a version is no name
)
_TAGGED = _Piece(
    "logger",
    r"[A-Za-z_$](?:::|[^ \t:|\[\]=,\"'(]){0,99}(?:\([^() \t]*\))?(?:\[[^\] \t]{0,24}\])?",
    weak=True,
    accept=_calm,
    separator=r"(?:[ \t]*:(?:[ \t]+|$)|[ \t]+-{1,2}(?:[ \t]+|$)|\]:?[ \t]+)",
)
_CLOSED = _Piece("logger", r"[A-Za-z_][A-Za-z0-9_.:/-]{0,80}", separator=r"\][ \t]+")
_DASHED = _Piece(
    "logger",
    r"[A-Za-z0-9_.][^ \t:|\[\]=,\"']{0,60}(?:[ \t]\*?[0-9A-Za-z_.]{1,20})?",
    weak=True,
    accept=_calm,
    separator=r"[ \t]+-[ \t]+",
)
_PADDED = _Piece("padded", r"[A-Za-z0-9_.$/-]{1,60}", weak=True, accept=_calm, separator=r"(?: {2,}|\t+)")
_PIPED = _Piece("piped", r"[^| \t][^|]{0,80}", weak=True, accept=_calm, separator=r"[ \t]*\|[ \t]*")
_COLONS = _Piece("colons", r"[^: \t]{1,80}", weak=True, accept=_calm, separator=r"::")

# A host, then what wrote it: `sshd[712]:`, `kernel:`, `su(pam_unix)[21416]:`, `syslogd 1.4.1:`, `Google Chrome[40]:`.
_TAG = (
    r"(?:(?P<service>[^ \t:\[(]+(?: [^ \t:\[(]+){0,2})(?:\([^() \t]*\))?\[[0-9]*\](?: \([^()]*\))?:"
    r"|[^ \t:\[]+(?: [0-9][0-9.]*)?:)"
)
SYSLOG_TAIL = r"[ \t]+[^ \t\[\]]+(?:[ \t]+" + _TAG + r"(?:[ \t]+|$)|[ \t]+)"
_SYSLOG_TAGGED = re2.compile(r"^[ \t]+[^ \t:\[\]]+[ \t]+" + _TAG.replace("?P<service>", "?:") + r"(?:[ \t]|$)")


@dataclass
class _State:
    level: bool = False
    logger: bool = False


def _candidates(state: _State) -> list[_Piece]:
    pieces = []
    if not state.level:
        pieces += [_LEVEL, _LETTER, _LEVEL_OF, _MODULE_LEVEL]
    pieces += [_KEYED, _ANGLE, _PIDTID]
    if not state.logger:
        pieces += [_BRACKET, _NUMBER, _HEX, _CLOSED, _COLONS, _PIPED, _PROCESS, _TAGGED, _DASHED, _DOTTED, _PADDED]
    else:
        pieces += [_ID_BRACKET, _HEX]
    return pieces


def learn(lines: list[str]) -> HeaderNode | None:
    """The header that most of these lines share, as a node; None where they share no time stamp near their start."""
    if len(lines) > _STUDIED:
        lines = lines[:: -(-len(lines) // _STUDIED)]
    places: dict[tuple[str, int, str], list[tuple[str, str]]] = {}
    for line in lines:
        place = _anchor(line[:_LOOK])
        if place is not None:
            stamp, lead, end = place
            tokens, glue = _split_lead(lead)
            places.setdefault((stamp.name, len(tokens), glue), []).append((lead, line[end:_LOOK]))
    if not places:
        return None
    (name, _, glue), found = max(places.items(), key=lambda item: len(item[1]))
    stamp = STAMP_BY_NAME[name]
    state = _State()
    lead = _lead_pattern([lead for lead, _ in found], glue, state)
    rests = [rest for _, rest in found]
    if _is_syslog(stamp, rests):
        return _node("syslog", lead, stamp, SYSLOG_TAIL)
    return _node("stamped", lead, stamp, _tail_pattern(rests, state))


def _node(name: str, lead: str, stamp: Stamp, tail: str) -> HeaderNode:
    """The node of a header whose pattern is made up of these."""
    pattern = f"{lead}{stamp.pattern}{tail}"
    before, mark, _ = pattern.partition("(?P<level>")
    parts = Parts(ungrouped(lead), ungrouped(before) if mark else None, ungrouped(pattern))
    letters = "(?P<level>[IWEDFTV])" in pattern
    level = levels.read_letters if letters else _read_header_levels
    return HeaderNode(name, f"^(?P<head>{pattern})", stamp, level, strict_level=bool(mark), parts=parts)


def ungrouped(pattern: str) -> str:
    """The same pattern without names for its groups."""
    return re.sub(r"\(\?P<[a-z]+>", "(?:", pattern)


def spares(node: HeaderNode) -> list[HeaderNode]:
    """The same stamp at the same place with a level alone, and with nothing: for lines that lack the other fields."""
    assert node.stamp is not None
    lead = node.pattern.removeprefix("^(?P<head>").split(node.stamp.pattern, 1)[0].replace("(?P<level>", "(?:")
    level = f"{_SEP}{_OPEN}{_LEVEL.pattern}{_SEP}"
    return [_node("stamped", lead, node.stamp, level), _node("stamped", lead, node.stamp, _SEP)]


def _is_syslog(stamp: Stamp, rests: list[str]) -> bool:
    """True where a host and a tag follow the stamp, as syslog writes them. The tag may be missing on some lines."""
    tagged = sum(
        1 for rest in rests if _SYSLOG_TAGGED.search(rest) and not _word_level(rest.split(None, 1)[0].strip("[]()<>"))
    )
    return tagged >= (len(rests) // 2 + 1 if stamp.name == "syslog" else _enough(len(rests)))


def _read_header_levels(names: pl.Series) -> pl.Series:
    return levels.read_names(names, levels.HEADER_NAMES)


def _anchor(line: str) -> tuple[Stamp, str, int] | None:
    """The main stamp of a line: the last of those that follow one another at its start. Its lead, and where it ends."""
    first = find(line)
    if first is None or not _is_lead(line[: first[1]]):
        return None
    stamp, start, end = first
    for _ in range(3):
        following = find(line, end)
        if following is None or not _is_gap(line[end : following[1]]):
            break
        if following[0].kind == "epoch" and stamp.kind != "epoch":
            break  # a number after a proper stamp is a field of its own
        stamp, start, end = following
    return stamp, line[:start], end


def _is_lead(lead: str) -> bool:
    """True where the text before a stamp looks like columns and not like the start of a sentence."""
    tokens = lead.split()
    if len(tokens) > _MAX_LEAD or "=" in lead or "{" in lead:
        return False  # a field of an object or a pair, not a header
    return all(_is_column(token) or _word_level(token.strip("[]():")) for token in tokens)


def _is_column(token: str) -> bool:
    return not re.fullmatch(r"[A-Za-z]?[a-z']*[,.;]?", token) or token in ("[", "(", "-")


def _is_gap(gap: str) -> bool:
    tokens = gap.split()
    return len(tokens) <= 3 and all(any(c.isdigit() for c in word) or word == "-" for word in tokens)


def _split_lead(lead: str) -> tuple[list[str], str]:
    """The tokens of a lead that a blank ends, and the shape of what stands right before the stamp."""
    cut = max(lead.rfind(" "), lead.rfind("\t")) + 1
    glue = lead[cut:]
    shape = re.sub(r"[^:|\[(<{\"'#]+", "x", glue)
    return lead[:cut].split(), shape[:24]


def _lead_pattern(leads: list[str], glue: str, state: _State) -> str:
    split = [_split_lead(lead)[0] for lead in leads]
    pattern = r"[ \t]*" if any(lead[:1] in (" ", "\t") for lead in leads) else ""
    for column in zip(*split, strict=True):
        if not state.level and all(_word_level(token.strip("[]():")) for token in column):
            state.level = True
            pattern += rf"{_OPEN}(?P<level>[A-Za-z]{{3,13}}[0-9]?)[\]):]*[ \t]+"
        else:
            pattern += r"[^ \t]+[ \t]+"
    ends = [lead[max(lead.rfind(" "), lead.rfind("\t")) + 1 :] for lead in leads]
    position = 0
    for shape in re.findall(r"x|[^x]", glue):
        if shape != "x":
            pattern += re.escape(shape)
            position += 1
            continue
        words = [re.findall(r"[^:|\[(<{\"'#]+", end) for end in ends]
        index = len(re.findall("x", glue[:position]))
        if not state.level and all(len(w) > index and _word_level(w[index]) for w in words):
            state.level = True
            pattern += r"(?P<level>[A-Za-z]{3,13}[0-9]?)"
        else:
            pattern += r"[^:|\[(<{\"'# \t]+"
        position += 1
    return pattern


def _tail_pattern(rests: list[str], state: _State) -> str:
    """The fields between the stamp and the message, with their separators."""
    separator = re2.compile("^" + _SEP)
    if sum(1 for rest in rests if separator.search(rest)) < _enough(len(rests)):
        return r"[\])>\"']*"
    left = [rest[match.end() :] for rest in rests if (match := separator.search(rest))]
    pattern = _SEP
    for _ in range(_MAX_PIECES):
        step = _step(left, state)
        if step is None:
            break
        added, left = step
        pattern += added
    return pattern


def _enough(count: int) -> int:
    return count if count < 20 else -(-count * 95 // 100)


def _step(left: list[str], state: _State) -> tuple[str, list[str]] | None:
    """The next field that (nearly) all lines share, as a pattern, and what is left of the lines after it."""
    if not state.level:
        columns = _columns_before_level(left)
        if columns:
            left = [line.split(None, columns)[columns] for line in left if len(line.split(None, columns)) > columns]
            added = r"(?:[^ \t]+[ \t]+)" + f"{{{columns}}}"
            after = _step_piece(left, _LEVEL)
            if after is not None:
                state.level = True
                return added + after[0], after[1]
    few = len(left) < _FEW or len(set(left)) < 2
    for piece in _candidates(state):
        if piece.weak and few and not (piece is _TAGGED and len(left) > 1):
            continue
        after = _step_piece(left, piece)
        if after is None:
            continue
        if piece is _NUMBER and state.level and not _logger_follows(after[1]):
            continue
        if piece.name == "level":
            state.level = True
        elif piece.name == "logger":
            state.logger = True
        return after
    return None


def _step_piece(left: list[str], piece: _Piece) -> tuple[str, list[str]] | None:
    opened = "" if piece.pattern.startswith((r"\[", "<")) else _OPEN
    matcher = piece.matcher(opened)
    # A level tells its lines apart by itself: those without one are left to another header.
    enough = _enough(len(left)) if piece is not _LEVEL else -(-len(left) * 7 // 10)
    spare = len(left) - enough
    rest = []
    for line in left:
        match = matcher.match(line)
        if match and (piece.accept is None or piece.accept(match["field"])):
            rest.append(line[match.end() :])
        elif spare:
            spare -= 1
        else:
            return None
    if not any(rest):
        return None  # nothing would be left for the message
    return opened + piece.pattern + piece.separator, rest


def _logger_follows(left: list[str]) -> bool:
    """True where a number after the level is a process id (a thread or a logger comes next), not a message's count."""
    return any(_step_piece(left, piece) is not None for piece in (_BRACKET, _TAGGED, _DOTTED))


def _columns_before_level(left: list[str]) -> int:
    """How many columns stand between the stamp and an upper-case level word at the same place on every line."""
    places: Counter[int] = Counter()
    for line in left:
        for index, token in enumerate(line.split(None, 7)[:7]):
            word = token.strip("[]():<>")
            if word.isupper() and len(word) > 2 and _word_level(word):
                places[index] += 1
                break
    if not places:
        return 0
    index, count = places.most_common(1)[0]
    if index == 0 or count < _enough(len(left)):
        return 0
    heads = [line.split(None, index)[:index] for line in left]
    # A word before the level of every one of many lines is a logger's name; of a few it may be the message's.
    plain = len(left) >= _FEW - 3 and count == len(left)
    return index if plain or all(_is_column(token) or token.isupper() for head in heads for token in head) else 0
