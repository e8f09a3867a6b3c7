"""Which span of time a query reads next: in order, in bounded steps, with an overlap for late records."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """[start, end) in ns to ask Loki for; `cursor` is where the query stands once it is taken in."""

    start: int
    end: int
    cursor: int
    behind: int  # ns of past still to be caught up after this span

    @property
    def catching_up(self) -> bool:
        return self.behind > 0


def next_span(cursor: int, now: int, *, delay: int, overlap: int, step: int) -> Span | None:
    """The next span after `cursor` (all ns), or None where there is nothing to read yet.

    It ends `delay` before `now`, since Loki under-counts its newest seconds; it begins `overlap` before the cursor,
    so a record that came late is still found (what was seen is dropped by id); it is at most `step` long, so an
    hour's stop is caught up in order and in bounded bites. A clock that stepped back gives None until it is past
    the cursor again: nothing is read twice and nothing is skipped.
    """
    newest = now - delay
    if newest <= cursor:
        return None
    end = min(newest, cursor + step)
    return Span(start=max(0, cursor - overlap), end=end, cursor=end, behind=newest - end)
