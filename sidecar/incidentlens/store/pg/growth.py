"""What is usual: the time that a signature's last hour is compared with.

That is the day before it; of a project that is known for less, what there is of that day. In the first hours the last
quarter of all that is known is compared with the rest, from the counts a minute: an info line that has come as often as
now since the beginning does not grow, and what began a minute ago does.
"""

from __future__ import annotations

from dataclasses import dataclass

from incidentlens.model.clock import DAY, HOUR, MINUTE

from .session import Session

SHORT = 4 * HOUR  # of history: then the last hour is a quarter of it


@dataclass(frozen=True, slots=True)
class Compared:
    """The latest time, from `recent_from` on, and the time before it, from `before_from`; both in ns, by counts out of
    `table`. `recent` and `before` are their lengths in hours; `before` is 0 where nothing is known of it."""

    table: str
    recent_from: int
    before_from: int
    recent: float
    before: float

    @property
    def short(self) -> bool:
        return self.table == "counts"


async def compared(session: Session, project: str, now: int) -> Compared:
    """Of that project, at `now` (ns): history begins with the first record that any signature was seen in."""
    row = await session.row("SELECT min(first_seen) AS first FROM templates WHERE project = %s", (project,))
    first = row["first"] if row is not None and row["first"] is not None else now
    if now - first >= SHORT:
        recent_from = now - now % HOUR - HOUR
        before_from = max(recent_from - DAY, first)
        return Compared(
            "counts_hourly", recent_from, recent_from - DAY, (now - recent_from) / HOUR,
            (recent_from - before_from) / HOUR,
        )  # fmt: skip
    recent_from = now - max(0, now - first) // 4
    recent_from -= recent_from % MINUTE
    before_from = first - first % MINUTE
    return Compared("counts", recent_from, before_from, (now - recent_from) / HOUR, max(0, recent_from - first) / HOUR)
