"""What the team already knows: runbooks as YAML, and which of them fits an incident."""

from .lint import LintIssue, lint
from .loading import load_runbook, load_runbooks, runbook_files
from .matching import Matcher
from .model import ObserveThreshold, Runbook, RunbookVerification
from .patterns import PatternError
from .skeleton import new_runbook

__all__ = [
    "LintIssue",
    "Matcher",
    "ObserveThreshold",
    "PatternError",
    "Runbook",
    "RunbookVerification",
    "lint",
    "load_runbook",
    "load_runbooks",
    "new_runbook",
    "runbook_files",
]
