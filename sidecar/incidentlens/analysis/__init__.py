"""What an incident's evidence means: a fitting runbook, then rules, then a reasoner; each claim cites evidence."""

from .analyst import Analyst
from .context import AnalysisContext
from .reasoning import DeterministicReasoner, Reasoner
from .rules import DEFAULT_RULES, Rule

__all__ = ["DEFAULT_RULES", "AnalysisContext", "Analyst", "DeterministicReasoner", "Reasoner", "Rule"]
