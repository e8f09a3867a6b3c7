"""Cursors: where the next page of a list begins, as an opaque text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import orjson
import xxhash

from incidentlens.model.base import Value

from .text import clean

T = TypeVar("T")

MAX_LIMIT = 500


class BadPage(ValueError):
    """A cursor that is none, belongs to another list, or a limit outside 1 to 500. The message says which."""


class Page(Value, Generic[T]):
    """Part of a list; `next_cursor` is None at its end."""

    items: tuple[T, ...]
    next_cursor: str | None = None


def list_key(name: str, **filters: Any) -> str:
    """Names a list by all that decides its rows and order: a cursor of one list is of no use in another."""
    text = orjson.dumps([name, clean(filters)], option=orjson.OPT_SORT_KEYS, default=_plain)
    return xxhash.xxh3_64(text).hexdigest()[:8]


def encode(key: str, position: list[int | float | str]) -> str:
    """The cursor after a row at `position` of the list `key`."""
    return base64.urlsafe_b64encode(orjson.dumps([key, *position])).rstrip(b"=").decode()


def decode(cursor: str | None, key: str, kinds: tuple[type, ...]) -> list[Any] | None:
    """The position in it, None for no cursor (the first page). Raises BadPage."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found = orjson.loads(raw)
    except (ValueError, binascii.Error):
        raise BadPage("the cursor is not one of ours; begin again without a cursor") from None
    if not isinstance(found, list) or len(found) != len(kinds) + 1 or found[0] != key:
        raise BadPage("the cursor belongs to another list or other filters; begin again without a cursor")
    position = found[1:]
    for value, kind in zip(position, kinds, strict=True):
        if type(value) is not kind or (isinstance(value, int) and not -(2**63) <= value < 2**63):
            raise BadPage("the cursor is not one of ours; begin again without a cursor")
    return position


def check_limit(limit: int) -> int:
    """`limit` where it is from 1 to 500. Raises BadPage."""
    if not 1 <= limit <= MAX_LIMIT:
        raise BadPage(f"limit is {limit}; it may be from 1 to {MAX_LIMIT}")
    return limit


def cut(rows: list[T], limit: int) -> tuple[list[T], bool]:
    """Of `limit + 1` rows asked for, the page, and whether there is more."""
    return rows[:limit], len(rows) > limit


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
