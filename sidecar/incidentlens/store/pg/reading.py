"""What the reading parts share."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from .session import Session


class Reader:
    """A part of the reading side; `_read` gives it a connection."""

    def _read(self) -> AbstractAsyncContextManager[Session]:
        raise NotImplementedError


class Where:
    """Conditions and their parameters, joined by AND."""

    def __init__(self, condition: str, *params: Any) -> None:
        self.conditions = [condition]
        self.params: list[Any] = list(params)

    def add(self, condition: str, *params: Any) -> None:
        self.conditions.append(condition)
        self.params.extend(params)

    def __str__(self) -> str:
        return " AND ".join(f"({condition})" for condition in self.conditions)


def after(columns: str, descending: bool, width: int) -> str:
    """The condition of a page: rows beyond a position, by the columns that order the list."""
    return f"({columns}) {'<' if descending else '>'} ({', '.join(['%s'] * width)})"


def ordered(columns: str, descending: bool) -> str:
    """ORDER BY those columns, all in one direction, so that an index gives the order."""
    direction = "DESC" if descending else "ASC"
    return ", ".join(f"{column.strip()} {direction}" for column in columns.split(","))
