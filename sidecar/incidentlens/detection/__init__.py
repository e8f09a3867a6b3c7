"""Detection: counts a (service, signature) against their baseline; what is unusual becomes a problem."""

from .detector import Detector, problem_id
from .hints import says_change, strength
from .mentions import Names
from .settings import DetectionContext, DetectionSettings

__all__ = ["DetectionContext", "DetectionSettings", "Detector", "Names", "problem_id", "says_change", "strength"]
