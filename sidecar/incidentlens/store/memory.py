"""The store in memory: for replay, and for tests that need no server. Same contract, same refusals.

A transaction keeps a log of how to undo each change, so rolling back costs what was done and committing costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from incidentlens.model.clock import MINUTE

from .base import OutboxItem, Pruned
from .fanout import Fanout
from .memory_space import Space, Undo
from .memory_transaction import MemoryTransaction
from .sharing import Lease, divide

LEASE = MINUTE


@dataclass
class Waiting:
    """One item of the outbox with its state."""

    item: OutboxItem
    leased_until: int | None = None
    done_at: int | None = None
    given_up_at: int | None = None
    error: str | None = None


class MemoryStore:
    """`keep_counts=False` does not keep the counts a minute and an hour: a long replay then runs in constant memory."""

    def __init__(self, *, keep_counts: bool = True) -> None:
        self.keep_counts = keep_counts
        self.spaces: dict[str, Space] = {}
        self.outbox: dict[tuple[str, str, str], Waiting] = {}
        self._readings: dict[tuple[str, str], Lease] = {}
        self._sidecars: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._fanout = Fanout()
        self._next_item = 1

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do; what is in it stays readable."""

    @asynccontextmanager
    async def transaction(self, project: str) -> AsyncIterator[MemoryTransaction]:
        lock = self._locks.setdefault(project, asyncio.Lock())
        async with lock:
            undo = Undo()
            transaction = MemoryTransaction(self, project, self.spaces.setdefault(project, Space()), undo)
            try:
                yield transaction
                transaction.check_before_commit()
            except BaseException:
                undo.back()
                raise
            self._fanout.tell(project, transaction.changed)

    def new_item(self, undo: Undo, project: str, target: str, key: str, payload: dict[str, Any], at: int) -> None:
        """Put one item into the outbox unless one of that project, target and key is there."""
        if (project, target, key) in self.outbox:
            return
        item = OutboxItem(
            id=self._next_item, project=project, target=target, key=key, payload=payload, attempts=0, next_attempt_at=at
        )
        self._next_item += 1
        undo.put(self.outbox, (project, target, key), Waiting(item))

    async def claim_outbox(self, at: int, limit: int) -> list[OutboxItem]:
        due = [
            waiting
            for waiting in self.outbox.values()
            if waiting.done_at is None
            and waiting.given_up_at is None
            and waiting.item.next_attempt_at <= at
            and (waiting.leased_until is None or waiting.leased_until <= at)
        ]
        due.sort(key=lambda waiting: waiting.item.id)
        for waiting in due[:limit]:
            waiting.leased_until = at + LEASE
        return [waiting.item for waiting in due[:limit]]

    async def outbox_done(self, item_id: int, at: int) -> None:
        if (waiting := self._waiting(item_id)) is not None:
            waiting.done_at, waiting.leased_until, waiting.error = at, None, None

    async def outbox_failed(self, item_id: int, at: int, error: str, retry_at: int | None) -> None:
        if (waiting := self._waiting(item_id)) is None:
            return
        waiting.leased_until, waiting.error = None, error
        update: dict[str, Any] = {"attempts": waiting.item.attempts + 1}
        if retry_at is None:
            waiting.given_up_at = at
        else:
            update["next_attempt_at"] = retry_at
        waiting.item = waiting.item.model_copy(update=update)

    async def claim_queries(self, project: str, queries: Sequence[str], me: str, at: int, lease: int) -> list[str]:
        self._sidecars[me] = at + lease
        for query in queries:
            self._readings.setdefault((project, query), Lease(query, "", 0))
        leases = [self._readings[project, query] for query in sorted(queries)]
        held = sum(one.holder == me and one.leased_until > at for one in self._readings.values())
        alive = sum(until > at for until in self._sidecars.values())
        mine, given_up = divide(leases, me, at, held=held, queries=len(self._readings), sidecars=alive)
        self._readings |= {(project, query): Lease(query, me, at + lease) for query in mine}
        self._readings |= {(project, query): Lease(query, "", 0) for query in given_up}
        return list(mine)

    async def release_queries(self, project: str, me: str) -> None:
        for place, lease in self._readings.items():
            if place[0] == project and lease.holder == me:
                self._readings[place] = Lease(lease.query, "", 0)

    def _waiting(self, item_id: int) -> Waiting | None:
        return next((w for w in self.outbox.values() if w.item.id == item_id and w.done_at is None), None)

    async def prune(self, project: str, before: int, *, hourly_before: int | None = None) -> Pruned:
        async with self.transaction(project) as transaction:
            removed = transaction.prune(before, hourly_before)
            done = [
                key
                for key, waiting in self.outbox.items()
                if key[0] == project and waiting.done_at is not None and waiting.done_at < before
            ]
            for key in done:
                del self.outbox[key]
            return removed.model_copy(update={"outbox": len(done)})

    def changes(self, project: str) -> AsyncIterator[str]:
        return self._fanout.read(project)
