"""A dashboard: panels put in rows from left to right, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardDashboardTemplating,
    DashboardDashboardTime,
    GridPos,
    Panel,
    RowPanel,
    VariableModel,
)

from . import links
from .asking import Target

WIDTH = 24
# 9.4's own. Newer versions bring it up to theirs, among other things the way a table colours its cells.
SCHEMA = 37

Placed = tuple[Builder[Panel], int]  # and its width, of 24


class Board:
    """Rows of panels, from the top down."""

    def __init__(
        self,
        uid: str,
        title: str,
        description: str,
        *,
        variables: Sequence[VariableModel],
        annotations: Sequence[AnnotationQuery] = (),
        more_links: Sequence[DashboardLink] = (),
        since: str = "now-6h",
        refresh: str = "30s",
    ) -> None:
        self._panels: list[Panel | RowPanel] = []
        self._bottom = 0
        self._board = Dashboard(
            uid=uid, title=title, description=description, tags=[links.TAG], editable=True, schema_version=SCHEMA,
            graph_tooltip=DashboardCursorSync.CROSSHAIR, time=DashboardDashboardTime(since, "now"), refresh=refresh,
            timezone="browser", templating=DashboardDashboardTemplating(list(variables)),
            annotations=AnnotationContainer(list(annotations)),
            links=[link.build() for link in (links.among_themselves(), *more_links)],
        )  # fmt: skip

    def heading(self, title: str) -> Board:
        """A line between groups of panels, which folds them."""
        position = GridPos(h=1, w=WIDTH, x=0, y=self._bottom)
        row = RowPanel(title=title, grid_pos=position, id_val=len(self._panels) + 1, panels=[])
        self._panels.append(row)
        self._bottom += 1
        return self

    def row(self, height: int, *panels: Placed) -> Board:
        """Panels of one height (30 pixels each) beside one another. Raises ValueError where they are not 24 wide."""
        if sum(width for _, width in panels) != WIDTH:
            raise ValueError(f"the widths of a row add up to {WIDTH}, not {sum(width for _, width in panels)}")
        left = 0
        for builder, width in panels:
            panel = builder.build()
            panel.id_val = len(self._panels) + 1
            panel.grid_pos = GridPos(h=height, w=width, x=left, y=self._bottom)
            if panel.targets and isinstance(panel.targets[0], Target):
                panel.datasource = panel.targets[0].source
            self._panels.append(panel)
            left += width
        self._bottom += height
        return self

    def number_of(self, title: str) -> int | None:
        """The number of a panel, by which another can show its answer."""
        return next((panel.id_val for panel in self._panels if panel.title == title), None)

    def json(self) -> bytes:
        """As Grafana reads it, the same bytes for the same code."""
        self._board.panels = self._panels
        body: dict[str, Any] = json.loads(json.dumps(self._board, cls=JSONEncoder))
        body["id"] = None
        for link in (*body["links"], *body["annotations"]["list"]):
            link.pop("placement", None)  # of 12 and newer, where it would hide them in a menu
        for panel in body["panels"]:
            if panel["type"] == "table":  # in 9.4's words, as `SCHEMA` promises
                panel["fieldConfig"]["defaults"]["custom"] = {"align": "auto", "displayMode": "auto", "inspect": False}
                panel["options"] = {"showHeader": True, "footer": {"show": False, "reducer": [], "fields": ""}}
        return json.dumps(body, indent=2, ensure_ascii=False).encode() + b"\n"
