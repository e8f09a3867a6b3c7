"""A few lines that show what a signature's events have in common and where they differ."""

from __future__ import annotations

import polars as pl

MAX_CONSIDERED = 2_000


def diverse_samples(events: pl.DataFrame, limit: int = 10) -> pl.DataFrame:
    """At most `limit` rows of one signature's events (EVENTS or SIGNED), in time order.

    The first and the last are always there. The others are taken one by one, each time the row that adds most: words
    not shown yet, a trace not shown yet, a service not shown yet, and distance in time from what is chosen. Of more
    than 2,000 rows an even spread is considered. ValueError for a limit below 1.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}; it must be at least 1")
    rows = events.sort("ts", maintain_order=True)
    if len(rows) <= min(limit, 2):
        return rows
    if len(rows) > MAX_CONSIDERED:
        step = (len(rows) - 1) / (MAX_CONSIDERED - 1)
        rows = rows[[round(i * step) for i in range(MAX_CONSIDERED)]]
    if limit == 1:
        return rows.head(1)
    times: list[int] = [at or 0 for at in rows["ts"]]
    traces: list[str | None] = rows["trace_id"].to_list()
    services: list[str | None] = rows["service"].to_list()
    words = [frozenset(text[:2_000].split()[:200]) for text in rows["message"].fill_null("")]
    span = max(times[-1] - times[0], 1)
    chosen = [0, len(rows) - 1]
    shown = set(words[0] | words[-1])
    seen_traces = {traces[0], traces[-1], None}
    seen_services = {services[0], services[-1]}
    gaps = [min(at - times[0], times[-1] - at) / span for at in times]
    while len(chosen) < min(limit, len(rows)):
        best, best_score = -1, -1.0
        for i, own in enumerate(words):
            if i in chosen:
                continue
            fresh = len(own - shown) / (len(own) or 1)
            score = (
                fresh + 0.5 * (traces[i] not in seen_traces) + 0.5 * (services[i] not in seen_services) + 2 * gaps[i]
            )
            if score > best_score:
                best, best_score = i, score
        chosen.append(best)
        shown |= words[best]
        seen_traces.add(traces[best])
        seen_services.add(services[best])
        gaps = [min(gap, abs(at - times[best]) / span) for gap, at in zip(gaps, times, strict=True)]
    return rows[sorted(chosen)]
