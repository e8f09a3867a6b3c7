"""A small Loki of one's own: the part of Loki's HTTP API that IncidentLens, Grafana and log shippers need.

For the demo, tests and a laptop: one process, one folder, a day of a small team's logs. It answers as Loki 3.7.6 does
and refuses what it does not do with Loki's status and a plain reason.
"""

from .app import LocalLokiApp, create_app
from .limits import Limits
from .server import LocalLoki, run

__all__ = ["Limits", "LocalLoki", "LocalLokiApp", "create_app", "run"]
