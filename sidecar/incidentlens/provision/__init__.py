"""What a Grafana needs to show incidents and to tell people: data source, alert rules, contact points, dashboards.

`resources` says what there is, `files` writes it for Grafana's file provisioning, `apply` brings a running Grafana to
it by the HTTP API and takes it away again. Everything made has a fixed uid or name of ours, so doing it twice changes
nothing and nothing of a user's is ever touched.
"""

from .apply import Applied, Conflict, apply, remove
from .files import removal_files, write
from .options import Contact, Options, OptionsError, Routing
from .resources import Resources, resources

__all__ = [
    "Applied",
    "Conflict",
    "Contact",
    "Options",
    "OptionsError",
    "Resources",
    "Routing",
    "apply",
    "removal_files",
    "remove",
    "resources",
    "write",
]
