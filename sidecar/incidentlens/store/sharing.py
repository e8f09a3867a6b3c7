"""Who reads what: each of the sidecars that live claims its share of all queries, by leases.

A lease saves double work and nothing more: a tick finds out by the cursors whether another was faster, so one that ran
out under a slow fetch loses and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """A query of the project that asks, and who holds it until when (ns)."""

    query: str
    holder: str
    leased_until: int


def divide(
    leases: Iterable[Lease], me: str, at: int, *, held: int, queries: int, sidecars: int
) -> tuple[Sequence[str], Sequence[str]]:
    """(queries that `me` reads from now on, queries it gives up), of one project's `leases`.

    `held` is how many queries of all projects `me` holds, of `queries` in all that `sidecars` share. Whoever has more
    than an equal share gives up the surplus; whoever has less takes what is free or has run out.
    """
    share = -(-queries // max(1, sidecars))
    own = [lease.query for lease in leases if lease.holder == me]
    free = [lease.query for lease in leases if lease.holder != me and lease.leased_until <= at]
    keep = len(own) - max(0, min(len(own), held - share))
    return [*own[:keep], *free[: max(0, share - held)]], own[keep:]
