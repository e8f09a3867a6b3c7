"""Is it really over? Watches an incident's own LogQL after an action, and draws hints for runbooks from the ends."""

from .hints import Hint, RunbookOutcome, hints
from .query import UNCOUNTED, incident_query
from .watch import begin, needs_watch, quiet_so_far, watch

__all__ = [
    "UNCOUNTED",
    "Hint",
    "RunbookOutcome",
    "begin",
    "hints",
    "incident_query",
    "needs_watch",
    "quiet_so_far",
    "watch",
]
