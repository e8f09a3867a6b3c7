"""Text as a store can hold it, and the words by which incidents and signatures are searched.

PostgreSQL's text and jsonb cannot hold the NUL character, and no UTF-8 can hold half of a surrogate pair; JSON knows
neither infinity nor integers beyond 64 bits. Log text has all of these. They are replaced on the way in, visibly and in
both stores alike, so that a line that holds one is kept rather than refused. (Within untyped JSON a float of 2**53 or
more comes back from PostgreSQL as the integer of the same digits.)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, TypeVar

from incidentlens.model.base import Value

T = TypeVar("T")

NUL = "\u2400"  # the symbol for NUL
BROKEN = "\ufffd"  # the replacement character
BIGGEST = 1.7976931348623157e308
WORDS = 200  # a row
WORD_LENGTH = 40

_BAD = re.compile("[\x00\ud800-\udfff]")
_WORD = re.compile(r"[^\W_]+")


def clean(value: T) -> T:
    """The same value with what cannot be stored replaced; the very same object where nothing had to be.

    Takes strings, values of the model, and lists, tuples, sets and dicts of them, keys included.
    """
    return _clean(value)  # type: ignore[no-any-return]


def clean_text(text: str) -> str:
    """NUL as `␀`, a lone surrogate as the replacement character."""
    if _BAD.search(text) is None:
        return text
    return _BAD.sub(lambda found: NUL if found[0] == "\x00" else BROKEN, text)


def clean_json(value: Any) -> Any:
    """As `clean`, for what goes into JSON: no infinity, no NaN (0), no integer beyond 64 bits (as text)."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return 0.0 if math.isnan(value) else math.copysign(BIGGEST, value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    return value


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        cleaned = clean_text(value)
        return value if cleaned is value else cleaned
    if isinstance(value, Value):
        changed = {}
        for name, item in value.__dict__.items():
            new = _clean(item)
            if new is not item:
                changed[name] = new
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        new_dict = {_clean(key): _clean(item) for key, item in value.items()}
        same = all(a is b and new_dict[b] is value[a] for a, b in zip(value, new_dict, strict=False))
        return value if same and len(new_dict) == len(value) else new_dict
    if isinstance(value, list | tuple | set | frozenset):
        items = [_clean(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return type(value)(items)
    return value


def words(texts: Iterable[str | None]) -> list[str]:
    """Distinct words of letters and digits in lower case, sorted; at most 200, of at most 40 characters each.

    The same function makes the words of a row and those of a query, so they always meet.
    """
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(clean_text(text or "")[:20_000].lower()):
            found.setdefault(word[:WORD_LENGTH])
            if len(found) >= WORDS:
                return sorted(found)
    return sorted(found)


def prefix_query(query: str) -> str | None:
    """A tsquery that wants every word of `query` as the beginning of a word; None where it holds no word."""
    wanted = words([query])
    return " & ".join(f"'{word}':*" for word in wanted) if wanted else None
