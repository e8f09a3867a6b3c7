"""Names people can read: `db:ERROR:connection_pool_exhausted#1f3a`.

A name is a function of level and template alone, so every replica gives the same one: a family from the words, up to
five telling words, and the start of a hash of all three (longer where two templates would share a name).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import xxhash

from incidentlens.model.terms import Level

from .masks import PLACEHOLDER
from .words import FAMILY_OF, STOP

MAX_WORDS = 5
MAX_LENGTH = 48
OVERFLOW_FAMILY = "other"

_DEFAULT_FAMILY = "app"
_WORD = re.compile(r"[A-Za-z][A-Za-z]*")
# The keys of key=value tell less than the words around them, and the level stands in the name already.
_KEY = re.compile(
    r"[\w.-]{1,80} ?= ?(?:<\*>)?|\w{0,80}(?:Id|ID|_id): ?<\*>|\b(?:msg|message): "
    r"|\b(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL)\b"
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@lru_cache(maxsize=1_024)
def words_of(template: str) -> list[str]:
    """All plain words of a template, lower case, CamelCase and snake_case taken apart."""
    found: list[str] = []
    for run in _WORD.findall(template.replace(PLACEHOLDER, " ")):
        found.extend(part.lower() for part in _HUMP.split(run) if part)
    return found


def family(template: str) -> str:
    """The area a template speaks of, from the words in it; `app` where none is known."""
    hits: dict[str, tuple[int, int]] = {}
    for word in set(words_of(template)):
        known = FAMILY_OF.get(word)
        if known:
            name, place = known
            hits[name] = (hits.get(name, (0, 0))[0] + 1, -place)
    return max(hits, key=lambda name: hits[name]) if hits else _DEFAULT_FAMILY


def summary(template: str) -> str:
    """Up to five telling words of a template, joined by `_`; `message` where it has none."""
    text = template
    head, colon, tail = template.partition(": ")
    # An exception's package says little: `org.example.FooException: text` is named from `FooException` on.
    if colon and " " not in head and "." in head:
        text = f"{head.rpartition('.')[2]}: {tail}"
    plain = words_of(_KEY.sub(" ", text))
    words: list[str] = []
    for word in plain if len(plain) >= 2 else words_of(text):
        if word in STOP or len(word) == 1 or word in words[-1:]:
            continue
        if len("_".join([*words, word])) > MAX_LENGTH and words:
            break
        words.append(word[:MAX_LENGTH])
        if len(words) == MAX_WORDS:
            break
    return "_".join(words) or "message"


def signature(template: str, level: Level, taken: Callable[[str], bool]) -> tuple[str, str]:
    """(family, name) of a template at a level. `taken` says whether another template has that name already."""
    area = family(template)
    digest = xxhash.xxh3_128(f"{area}\n{level}\n{template}".encode("utf-8", "surrogatepass")).hexdigest()
    stem = f"{area}:{level.upper()}:{summary(template)}#"
    for length in (4, 6, 8, 12, 16, 32):
        name = stem + digest[:length]
        if not taken(name):
            break
    return area, name


def rule_signature(prefix: str, level: Level, name: str) -> str:
    """The name of a user's group or noise rule at a level."""
    digest = xxhash.xxh3_64(f"{prefix}\n{level}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()[:4]
    return f"{prefix}:{level.upper()}:{summary(name)}#{digest}"


def overflow_signature(level: Level) -> str:
    """What messages get that come when the catalogue is full."""
    return f"{OVERFLOW_FAMILY}:{level.upper()}:too_many_signatures#overflow"
