"""placeholder while the reading side is written"""

from __future__ import annotations

from typing import Any


class PostgresQueries:
    def __init__(self, pool: Any) -> None:
        self._pool = pool
