"""Is it really over? Watches an incident's own LogQL after an action, and draws hints for runbooks from the ends."""

from .hints import Hint, PatternUse, RunbookOutcome, hints
from .query import incident_query
from .watch import begin, needs_watch, watch

__all__ = ["Hint", "PatternUse", "RunbookOutcome", "begin", "hints", "incident_query", "needs_watch", "watch"]
