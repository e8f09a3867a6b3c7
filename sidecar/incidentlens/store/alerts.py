"""When an alert that is sent again says something new."""

from __future__ import annotations

from incidentlens.model.decisions import Alert


def changed_state(before: Alert | None, now: Alert) -> bool:
    """True where it is new, fired again (another start), ended, ended earlier than announced, or goes on after an end.

    Prometheus and Loki's ruler push the end of a firing alert a little further each time they send it: a later end
    alone is the same alert.
    """
    if before is None or now.starts_at != before.starts_at:
        return True
    if now.ends_at is None or before.ends_at is None:
        return now.ends_at != before.ends_at
    return now.ends_at < before.ends_at
