"""Links between the dashboards, and out of them."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DynamicConfigValue

TAG = "incidentlens"


def among_themselves() -> DashboardLink:
    """A menu of all dashboards of ours, which keeps the time and the data source."""
    return (
        DashboardLink("IncidentLens").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True)
        .include_vars(True).keep_time(True).icon("external link")
    )  # fmt: skip


def documents(title: str, page: str) -> DashboardLink:
    """A page of the incident's own, in a new tab."""
    return DashboardLink(title).type(DashboardLinkType.LINK).url(page).target_blank(True).icon("external link")


def cell(title: str, url: str, *, new_tab: bool = False) -> DynamicConfigValue:
    """For an override: what a click on a cell leads to."""
    return DynamicConfigValue("links", [{"title": title, "url": url, "targetBlank": new_tab}])


def shown_as(text: str) -> DynamicConfigValue:
    """For an override: any value reads as this text."""
    options = {"pattern": ".+", "result": {"text": text, "index": 0}}
    return DynamicConfigValue("mappings", [{"type": "regex", "options": options}])
