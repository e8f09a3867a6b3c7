"""Signatures: which lines say the same thing.

`Catalogue` signs events by template; `masks` finds values by their shape, `merging` the words that prove to be values,
`names` makes readable names, `rules` are a project's own.
"""

from .catalogue import Catalogue, CatalogueStats
from .explain import Explanation
from .files import LineSignature, as_messages, each_line, sign_file
from .preview import Change, preview
from .rules import RuleError, load_rules
from .sampling import diverse_samples

__all__ = [
    "Catalogue",
    "CatalogueStats",
    "Change",
    "Explanation",
    "LineSignature",
    "RuleError",
    "as_messages",
    "diverse_samples",
    "each_line",
    "load_rules",
    "preview",
    "sign_file",
]
