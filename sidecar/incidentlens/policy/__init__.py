"""Every decision passes here: thresholds, floors, cooldowns, escalation by count. It may overrule a model."""

from .decide import decide, due_again, in_cooldown
from .explain import explain, why_nobody_was_told
from .history import History, RulerAlert, Told
from .loading import load_policy
from .model import Policy

__all__ = [
    "History",
    "Policy",
    "RulerAlert",
    "Told",
    "decide",
    "due_again",
    "explain",
    "in_cooldown",
    "load_policy",
    "why_nobody_was_told",
]
