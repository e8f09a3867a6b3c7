"""The rules, one file each. A project's own rules need only the `Rule` protocol."""

from .base import Rule
from .dependency_cascade import DependencyCascade
from .duplicate_incident import DuplicateIncident
from .error_spike import ErrorSpike
from .new_signature import NewSignature
from .oom_kill import OomKill
from .recent_deploy import RecentDeploy
from .service_owner import ServiceOwner
from .tail_latency import TailLatency

DEFAULT_RULES: tuple[Rule, ...] = (
    RecentDeploy(),
    OomKill(),
    DependencyCascade(),
    ErrorSpike(),
    TailLatency(),
    NewSignature(),
    DuplicateIncident(),
    ServiceOwner(),
)

__all__ = [
    "DEFAULT_RULES",
    "DependencyCascade",
    "DuplicateIncident",
    "ErrorSpike",
    "NewSignature",
    "OomKill",
    "RecentDeploy",
    "Rule",
    "ServiceOwner",
    "TailLatency",
]
