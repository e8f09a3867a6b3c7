"""How to reach a project's Grafana, and what is drawn there, with the token read."""

from __future__ import annotations

from dataclasses import dataclass, field

from incidentlens.model.terms import Disposition

ORGANISATION = ""  # the place of a region that no dashboard owns


@dataclass(frozen=True, slots=True)
class GrafanaSettings:
    """One organisation of one Grafana: a service account's token is bound to it. Times in seconds or ns as named."""

    url: str
    token: str = field(default="", repr=False)
    places: tuple[str, ...] = (ORGANISATION,)  # dashboards by uid, and ORGANISATION
    least: Disposition = Disposition.NEEDS_DEV
    max_annotations: int = 300
    max_age: int = 30 * 86400 * 10**9  # ns
    read_back: bool = True
    timeout_s: float = 10.0
    public_url: str = ""  # where IncidentLens's own pages are, for links
