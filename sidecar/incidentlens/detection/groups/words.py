"""Whether a line's words say that something is not as it should be, whatever its level.

Wider than `hints.strength`, which decides whether a line is a failure by itself: here a word only makes a *rare* line
count. So negations belong to it, and words for what is superfluous, lost or cut off.
"""

from __future__ import annotations

import re2

from incidentlens.detection.hints import strength
from incidentlens.model.terms import Level

_MAX = 2_000  # characters looked at
_ADVERSE = re2.compile(
    r"(?i)\b(?:(?:do|does|did|is|are|was|were|has|have|had|can|could|will|would|should) ?not|cannot|n't|"
    r"no longer|never|nothing|none of|not (?:a|an|be|in|found|exist|exists|yet)|unable|without success|"
    r"redundant|duplicated?|already|superfluous|stale|obsolete|orphan(?:ed)?|dangling|"
    r"empty|missing|lost|dropped|discard(?:ed|ing)?|skipp?(?:ed|ing)|ignor(?:ed|ing)|"
    r"interrupted|retry(?:ing)?|retries|retried|gave up|giving up|giv(?:e|es) up|abandon(?:ed|ing)?|"
    r"roll(?:ed|ing)? ?back|unexpected(?:ly)?|unknown|unusual|suspect(?:ed)?|bad|wrong|illegal|mismatch(?:ed)?|"
    r"conflict(?:s|ing)?|delay(?:ed)?|slow|late|too (?:many|much|long|large|small|old)|interruption|premature(?:ly)?)\b"
)


def adverse(template: str, level: str) -> bool:
    """True for a line of level warn or worse, with a word of failure, or with one that negates or regrets."""
    if level in (Level.FATAL, Level.ERROR, Level.WARN):
        return True
    head = template[:_MAX]
    # Asked as if it had no level: a template of level info with ordinary words of failure is adverse too.
    return strength(head, Level.UNKNOWN) > 0 or bool(_ADVERSE.search(head))
