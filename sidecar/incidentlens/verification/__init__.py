"""Is it really over? Watches an incident's own LogQL after an action, and draws hints for runbooks from the ends."""

from .hints import Hint, RunbookOutcome, hints
from .query import incident_query
from .watch import begin, needs_watch, watch

__all__ = ["Hint", "RunbookOutcome", "begin", "hints", "incident_query", "needs_watch", "watch"]
