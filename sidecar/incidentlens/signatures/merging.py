"""Words that turn out to be values: which masked texts are one template.

Masks find values by shape; names, hosts and other plain words need evidence from several texts:

- one slot: texts that are equal but for one word. Enough different words there make it a value. How many are enough
  (`needed`) falls with the number of words the texts share, and where punctuation introduces the slot.
  A name of three or more dotted parts (a property, a package) is hardly ever part of a sentence: few prove it.
- several slots: texts of one shape (equal but for their words) are split at the position with the fewest words until
  every position is either one word for all or has many (`SEVERAL`); half of the words must be shared.

Words that tell an outcome (`failed`, `started`, names of exceptions) are never values: joining too much is the worse
error. A merge is never undone, and the merged text takes part in further merges. Splitting at the position
of lowest variety is from IPLoM (Makanju et al., KDD 2009); counting needs no similarity threshold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from .masks import PLACEHOLDER
from .words import OUTCOME

SEVERAL = 24  # different words every slot needs where several slots vary at once
SEVERAL_DOTTED = 5  # the same where every word of the slot is a dotted name
MAX_SLOTS = 16  # words of a text that are looked at as possible slots, from the left
MAX_WORDS_SEVERAL = 40  # longer texts are not looked at for several slots
MAX_PATTERNS_A_SHAPE = 64

# Texts are masked and at most a few KB long, the alternatives exclude each other: linear time.
_WORD = re.compile(r"[^\W\d_][\w.$\\-]*(?<=[\w$])")
_EXCEPTION = ("Exception", "Error", "Failure", "Fault", "Interrupt", "Warning", "Panic")
_OPENING = "([{<'\":=#@"
_SHAPE_WORD = "\x01"


class Slot(NamedTuple):
    """A word of a text that may be a value: where it stands, and how many different words would prove it."""

    start: int
    end: int
    needed: int


class Merge(NamedTuple):
    """Texts that proved to be one: `template` is the general text, `why` says what proved it."""

    template: str
    members: tuple[str, ...]
    why: str


def needed(shared: int, introduced: bool, dotted: bool = False) -> int:
    """How many different words make a slot a value, with `shared` other words in the text; 0: never."""
    if shared <= 0:
        return 0
    if dotted:
        return 3 if shared >= 2 else 5
    if introduced:
        return 5 if shared >= 2 else 12
    return {1: 32, 2: 12, 3: 8}.get(shared, 5)


@lru_cache(maxsize=1_024)  # a new text is matched first and watched right after
def slots(text: str) -> list[Slot]:
    """The words of a masked text that could be values."""
    spans = [(word.start(), word.end(), word.group()) for word in _WORD.finditer(text)]
    shared = len(spans) - 1
    if shared <= 0:
        return []
    usual, introduced, dotted = needed(shared, False), needed(shared, True), needed(shared, False, True)
    found: list[Slot] = []
    for start, end, word in spans[:MAX_SLOTS]:
        before = start - 1 if start and text[start - 1] != " " else start - 2
        count = introduced if before >= 0 and text[before] in _OPENING else usual
        if is_dotted(word):
            count = min(count, dotted)
        if count and not is_outcome(word):
            found.append(Slot(start, end, count))
    return found


def is_outcome(word: str) -> bool:
    """True for words that say what happened, so that they are never taken for a value."""
    return word.lower() in OUTCOME or word.endswith(_EXCEPTION)


def is_dotted(word: str) -> bool:
    """True for names of three or more parts: `org.example.Thing`, `spring.datasource.url`."""
    return word.count(".") >= 2


class Merger:
    """Watches masked texts and says which became one. Memory: at most `MAX_SLOTS` small entries a watched text.

    Not for use by several threads at once. `general` turns a text with a `<*>` put in into the form masks would give.
    """

    def __init__(self, general: Callable[[str], str]) -> None:
        self._general = general
        self._waiting: dict[int, str | list[str]] = {}
        self._found: dict[int, str] = {}
        self._shapes: dict[int, list[str]] = {}
        self._patterns: dict[int, list[tuple[tuple[str | None, ...], str]]] = {}
        self._leaf: dict[str, str] = {}  # a merged text -> one of the texts it was first merged from
        self._looked: dict[int, int] = {}
        self._dirty: set[int] = set()

    def match(self, text: str) -> str | None:
        """The general text that `text` belongs to by merges so far; None where it stands for itself."""
        best: str | None = None
        for slot in slots(text):
            hit = self._found.get(_key(text, slot))
            if hit is not None and hit != text and (best is None or hit < best):
                best = hit
        if best is not None:
            return best
        words, shape = _shape(text)
        for pattern, general in self._patterns.get(shape, ()):
            if general != text and all(
                fixed is None or fixed == word for fixed, word in zip(pattern, words, strict=True)
            ):
                return general
        return None

    def watch(self, text: str) -> list[Merge]:
        """Take in a new distinct text; give the merges that it completes."""
        merges: list[Merge] = []
        for slot in slots(text):
            key = _key(text, slot)
            if key in self._found:
                continue
            waiting = self._waiting.get(key)
            if waiting is None:
                self._waiting[key] = text
                continue
            if isinstance(waiting, str):
                waiting = self._waiting[key] = [waiting]
            waiting.append(text)
            if len(waiting) >= slot.needed:
                general = self._general(text[: slot.start] + PLACEHOLDER + text[slot.end :])
                del self._waiting[key]
                self._found[key] = general
                self._generalised(general, waiting)
                why = f"{len(waiting)} texts differ in one word only: {_examples(waiting, slot)}"
                merges.append(Merge(general, tuple(waiting), why))
        self._watch_shape(text)
        return merges

    def learn(self, member: str, general: str) -> bool:
        """Restore a merge from a catalogue: `member` led to `general`. False where the two do not fit."""
        for slot in slots(member):
            if self._general(member[: slot.start] + PLACEHOLDER + member[slot.end :]) == general:
                key = _key(member, slot)
                self._waiting.pop(key, None)
                self._found[key] = general
                self._generalised(general, [member])
                return True
        _, shape = _shape(member)
        pattern = _pattern_of(member, general)
        if pattern is None:
            return False
        self._leaf.setdefault(general, member)
        return self._add_pattern(shape, pattern, general)

    def leaf(self, general: str) -> str | None:
        """One of the texts that a merged text was first made of; None for a text that is no merge."""
        return self._leaf.get(general)

    def settle(self) -> list[Merge]:
        """Look at the shapes that grew by a quarter since they were last looked at; call after each batch."""
        merges: list[Merge] = []
        for shape in sorted(self._dirty, key=lambda shape: min(self._shapes[shape])):
            bucket = self._shapes[shape]
            if len(bucket) < max(SEVERAL_DOTTED, 1.25 * self._looked.get(shape, 0)):
                continue
            merged: set[str] = set()
            for members, variable in clusters(sorted(bucket)):
                words = _WORD.findall(members[0])
                general = _with_placeholders(members[0], variable)
                pattern = tuple(None if i in variable else word for i, word in enumerate(words))
                if self._add_pattern(shape, pattern, general):
                    self._leaf.setdefault(general, members[0])
                    places = f"each of {len(variable)} places"
                    why = f"{len(members)} texts of one shape have many words in {places}"
                    merges.append(Merge(general, tuple(members), why))
                    merged.update(members)
            self._shapes[shape] = [one for one in bucket if one not in merged]
            self._looked[shape] = len(self._shapes[shape])
        self._dirty.clear()
        return merges

    def _watch_shape(self, text: str) -> None:
        words, shape = _shape(text)
        if 4 <= len(words) <= MAX_WORDS_SEVERAL:
            self._shapes.setdefault(shape, []).append(text)
            self._dirty.add(shape)

    def _generalised(self, general: str, members: Sequence[str]) -> None:
        """Where a merge joins texts that are merges themselves, texts that fit no single slot must find it too."""
        leaf = next((self._leaf[member] for member in members if member in self._leaf), None)
        self._leaf.setdefault(general, leaf or members[0])
        if leaf is None:
            return
        _, shape = _shape(leaf)
        pattern = _pattern_of(leaf, general)
        if pattern is not None:
            self._add_pattern(shape, pattern, general)

    def _add_pattern(self, shape: int, pattern: tuple[str | None, ...], general: str) -> bool:
        patterns = self._patterns.setdefault(shape, [])
        if any(known == pattern for known, _ in patterns):
            return False
        if len(patterns) >= MAX_PATTERNS_A_SHAPE:
            return False
        patterns.append((pattern, general))
        patterns.sort(key=lambda entry: entry[1])
        return True


def clusters(texts: Sequence[str]) -> list[tuple[list[str], set[int]]]:
    """Texts of one shape as groups of one template each: (members, positions of words that vary)."""
    found: list[tuple[list[str], set[int]]] = []
    rows = [(text, _WORD.findall(text)) for text in texts]
    stack = [rows]
    while stack:
        part = stack.pop()
        if len(part) < SEVERAL_DOTTED:
            continue
        kinds = [set(column) for column in zip(*(words for _, words in part), strict=True)]
        varying = [i for i, kind in enumerate(kinds) if len(kind) > 1]
        many = {i for i in varying if _proven(kinds[i])}
        shared = len(kinds) - len(many)
        if many and len(many) == len(varying) and shared >= 2 and shared >= len(many):
            found.append(([text for text, _ in part], many))
            continue
        if not varying:
            continue
        few = min((i for i in varying if i not in many or len(many) == len(varying)), key=lambda i: (len(kinds[i]), i))
        parts: dict[str, list[tuple[str, list[str]]]] = {}
        for row in part:
            parts.setdefault(row[1][few], []).append(row)
        stack.extend(parts[word] for word in sorted(parts, reverse=True))
    return found


def _proven(words: set[str]) -> bool:
    """Whether these words at one of several places are values."""
    few = SEVERAL_DOTTED if all(map(is_dotted, words)) else SEVERAL
    return len(words) >= few and not any(map(is_outcome, words))


def _key(text: str, slot: Slot) -> int:
    return hash((text[: slot.start], text[slot.end :]))


@lru_cache(maxsize=1_024)
def _shape(text: str) -> tuple[list[str], int]:
    words = _WORD.findall(text)
    return words, hash((len(words), _WORD.sub(_SHAPE_WORD, text)))


def _with_placeholders(text: str, positions: set[int]) -> str:
    spans = [match.span() for match in _WORD.finditer(text)]
    for position in sorted(positions, reverse=True):
        start, end = spans[position]
        text = text[:start] + PLACEHOLDER + text[end:]
    return text


def _pattern_of(member: str, general: str) -> tuple[str | None, ...] | None:
    """Which words of `member` became `<*>` in `general`; None where `general` is no such text."""
    pattern: list[str | None] = []
    at_member = at_general = 0
    for word in _WORD.finditer(member):
        gap = member[at_member : word.start()]
        if not general.startswith(gap, at_general):
            return None
        at_general += len(gap)
        same = general.startswith(word.group(), at_general)
        if not same and not general.startswith(PLACEHOLDER, at_general):
            return None
        pattern.append(word.group() if same else None)
        at_general += len(word.group()) if same else len(PLACEHOLDER)
        at_member = word.end()
    return tuple(pattern) if general[at_general:] == member[at_member:] and None in pattern else None


def _examples(texts: Sequence[str], slot: Slot) -> str:
    tail = len(texts[-1]) - slot.end
    words = sorted(text[slot.start : len(text) - tail] for text in texts)
    return ", ".join(words[:5]) + (", …" if len(words) > 5 else "")
