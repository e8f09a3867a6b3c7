"""Signatures: which lines say the same thing.

`Catalogue` signs events by template; `masks` finds values by their shape, `merging` the words that prove to be values,
`names` makes readable names, `rules` are a project's own.
"""

from .catalogue import Catalogue, CatalogueStats, Explanation
from .rules import RuleError, load_rules

__all__ = ["Catalogue", "CatalogueStats", "Explanation", "RuleError", "load_rules"]
