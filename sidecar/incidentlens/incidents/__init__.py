"""Incidents: problems joined with a reason each, what persons decide of it, and the suspected cause with its chain."""

from .circumstances import Circumstances
from .describe import severity_of, title_of
from .grouping import MERGED_INTO, SPLIT_FROM, group
from .opinions import Opinion, opinions, swayed
from .persons import merge, relabel, split
from .ranking import overall_ranking
from .reanalysis import mark_analysed, needs_analysis
from .rootcause import apply_root_cause, root_cause
from .settings import GroupingSettings
from .similarity import known_cause, resolved_by, similar

__all__ = [
    "MERGED_INTO",
    "SPLIT_FROM",
    "Circumstances",
    "GroupingSettings",
    "Opinion",
    "apply_root_cause",
    "group",
    "known_cause",
    "mark_analysed",
    "merge",
    "needs_analysis",
    "opinions",
    "overall_ranking",
    "relabel",
    "resolved_by",
    "root_cause",
    "severity_of",
    "similar",
    "split",
    "swayed",
    "title_of",
]
