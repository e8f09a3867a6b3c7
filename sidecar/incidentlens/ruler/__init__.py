"""Rule groups for Loki's ruler: built of a project's configuration and runbooks, compared, written, taken away again.

A project owns one namespace, `incidentlens-<project>`, and nothing outside it is ever read or written. `build` makes
the groups, `plan` says what a write would do to what is there, `client` speaks to the ruler, `files` writes the same
groups for a ruler whose store is read-only, `lint` checks them.
"""

from .build import RulerError, build_groups, namespace_of
from .client import RulerClient
from .lint import lint_groups
from .model import Group, Rule
from .plan import Change, State, plan, plan_removal

__all__ = [
    "Change",
    "Group",
    "Rule",
    "RulerClient",
    "RulerError",
    "State",
    "build_groups",
    "lint_groups",
    "namespace_of",
    "plan",
    "plan_removal",
]
