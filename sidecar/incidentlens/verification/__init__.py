"""Is it really over? Watches an incident's own LogQL after an action, and learns hints for runbooks from how it ends."""

from .hints import Hint, PatternUse, RunbookOutcome, hints
from .query import incident_query
from .watch import begin, needs_watch, watch

__all__ = ["Hint", "PatternUse", "RunbookOutcome", "begin", "hints", "incident_query", "needs_watch", "watch"]
