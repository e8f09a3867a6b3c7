"""Groups of records (blocks, sessions, traces) against what groups usually look like. See docs/detection.md."""

from .collect import Collector, GroupError, Part, Signature, read_part, subset
from .compare import DEFAULTS, OWN, DetectorError, check, detect, grid
from .judge import Verdict, judge

__all__ = [
    "DEFAULTS",
    "OWN",
    "Collector",
    "DetectorError",
    "GroupError",
    "Part",
    "Signature",
    "Verdict",
    "check",
    "detect",
    "grid",
    "judge",
    "read_part",
    "subset",
]
