"""What a query that cannot be answered says to the panel."""

from __future__ import annotations

DOWNSTREAM = "downstream"  # the asker, or a service behind: nothing of IncidentLens is broken
PLUGIN = "plugin"


class QueryError(Exception):
    """One sentence for the panel, where the fault lies (`downstream` or `plugin`), and an HTTP status."""

    def __init__(self, message: str, source: str = DOWNSTREAM, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.source = source
        self.status = status
