"""Who is asked and what: data sources, queries, variables and annotation queries."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable, TextBoxVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from incidentlens.publish.loki_events import JOB

TYPE = "incidentlens-datasource"
OURS = DataSourceRef(type_val=TYPE, uid="${datasource}")
LOKI = DataSourceRef(type_val="loki", uid="${loki}")

ANY = "$__all"


class Target(Dataquery, Builder[Dataquery]):
    """One query of a panel, in the data source's own JSON."""

    def __init__(self, source: DataSourceRef, body: dict[str, Any], ref_id: str = "A") -> None:
        self.source = source
        self.ref_id = ref_id
        self._body = {"refId": ref_id, "datasource": source.to_json(), **body}

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, Any]:
        return self._body


def ours(query_type: str, ref_id: str = "A", **body: Any) -> Target:
    """A query of IncidentLens; its keys are those of `grafana.queries.query.PanelQuery`, in camel case."""
    return Target(OURS, {"queryType": query_type, **body}, ref_id)


def loki(expression: str, ref_id: str = "A", *, kind: str = "range", legend: str = "", **body: Any) -> Target:
    """A LogQL query over a range, or of this moment (`instant`)."""
    asked = {"expr": expression, "queryType": kind, "editorMode": "code", **body}
    if legend:
        asked["legendFormat"] = legend
    return Target(LOKI, asked, ref_id)


def answer_of(panel: int) -> Target:
    """What another panel of the dashboard was answered, as it came: nothing is asked twice."""
    return Target(DataSourceRef(type_val="datasource", uid="-- Dashboard --"), {"panelId": panel})


def events(kind: str = "", *, where: str = "") -> str:
    """The selector of incident events in Loki, of the chosen projects, and what their metadata must be."""
    kinds = f', kind=~"{kind}"' if kind else ""
    return f'{{job="{JOB}", project=~"$project"{kinds}}}{f" | {where}" if where else ""}'


def source() -> VariableModel:
    """Which IncidentLens: the one that `incidentlens provision` makes, unless there are more."""
    return _data_source("datasource", "IncidentLens", TYPE, "IncidentLens", "incidentlens")


def loki_source() -> VariableModel:
    return _data_source("loki", "Loki", "loki", "Loki", "loki")


def _data_source(name: str, label: str, kind: str, text: str, uid: str) -> VariableModel:
    current = VariableOption(selected=False, text=text, value=uid)
    return DatasourceVariable(name).label(label).type(kind).current(current).build()


def names(name: str, label: str, *, of: str = "", **within: Any) -> VariableModel:
    """A variable of several values or all, out of the data source's lists (`service`, `severity`, …)."""
    every = VariableOption(selected=True, text="All", value=ANY)
    return (
        QueryVariable(name).label(label).datasource(OURS)
        .query({"refId": "names", "queryType": "variable", "variable": of or name, **within})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.DISABLED)
        # All is no condition, not every name there is now: an incident without a runbook is one of all.
        .multi(True).include_all(True).all_value("*").current(every).build()
    )  # fmt: skip


def the_incident() -> VariableModel:
    """One incident of the time range, the latest first."""
    return (
        QueryVariable("incident").label("Incident").datasource(OURS)
        .query({"refId": "names", "queryType": "variable", "variable": "incident", "limit": 200})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.DISABLED).multi(False).build()
    )  # fmt: skip


def projects() -> VariableModel:
    """The projects that have pushed events to Loki."""
    every = VariableOption(selected=True, text="All", value=ANY)
    return (
        QueryVariable("project").label("Project").datasource(LOKI).query(f'label_values({{job="{JOB}"}}, project)')
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True).include_all(True).all_value(".+").current(every).build()
    )  # fmt: skip


def address() -> VariableModel:
    """Where people reach IncidentLens's pages, for links of dashboards that cannot ask it."""
    here = "http://localhost:8095"
    chosen = VariableOption(selected=True, text=here, value=here)  # 9.4 shows nothing without it
    return TextBoxVariable("incidentlens").label("IncidentLens at").default_value(here).current(chosen).build()


def regions(**where: Any) -> list[AnnotationQuery]:
    """Incidents drawn over the panels, and the deploys that anybody announces as Grafana annotations."""
    own = AnnotationQuery(
        name="Incidents", datasource=OURS, enable=True, icon_color="orange",
        target=ours("annotations", "Anno", disposition=["ESCALATE", "NEEDS_ONCALL", "NEEDS_DEV"], limit=100, **where),
    )  # fmt: skip
    return [own]
