"""The panels that dashboards are made of, each in the one way it looks here. They are for Grafana 9.4 and newer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import logs, nodegraph, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTextDisplayOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    LineInterpolation,
    LogsSortOrder,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue, Panel
from grafana_foundation_sdk.models.text import TextMode

from . import empty, look
from .asking import Target

PILL = "color-background-solid"
BARS = 90  # at most in one panel: more are lines that nobody can point at
# What a tick of an axis says that stands for no value. Grafana's axes of whole numbers have such ticks, and would write
# the panel's own text at each; a text that counts as 0, as the empty one does, would be drawn as 0.
NO_TICK = "\u200b"
WORDS = ("Severity", "Disposition", "Status", "Verified", "Action", "State", "Outcome", "Level", "Kind", "What")


def only(*names: str) -> DataTransformerConfig:
    """Keep these fields, by the names they are shown under."""
    return DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(names)}})


def arranged(*names: str) -> DataTransformerConfig:
    """Columns in this order."""
    order = {name: place for place, name in enumerate(names)}
    return DataTransformerConfig(
        id_val="organize", options={"indexByName": order, "excludeByName": {}, "renameByName": {}}
    )


def figures(
    title: str,
    description: str,
    target: Target,
    names: Sequence[str],
    *,
    colours: Mapping[str, Any] | None = None,
    short: Mapping[str, str] | None = None,
    listed: bool = False,
    none: str = empty.DASH,
) -> Builder[Panel]:
    """Numbers of one row in the order of `names`; `colours` are thresholds by name, anything else has the colour of
    text; `short` are names that are too long to be read whole. They stand side by side, for which each needs three
    columns at most (Grafana puts the name before the number where there is more room), or `listed` below each other."""
    panel = (
        stat.Panel().title(title).description(description).with_target(target).no_value(none)
        .with_transformation(only(*names)).with_transformation(arranged(*names))
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/").values(False))
        .graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.VALUE).text_mode(BigValueTextMode.AUTO)
        .justify_mode(BigValueJustifyMode.AUTO if listed else BigValueJustifyMode.CENTER)
        .orientation(VizOrientation.HORIZONTAL if listed else VizOrientation.VERTICAL)
        .text(VizTextDisplayOptions().title_size(13).value_size(26))
        .thresholds(look.steps(look.PLAIN)).color_scheme(look.by_threshold())
    )  # fmt: skip
    for name in names:
        found = [DynamicConfigValue("displayName", short[name])] if short and name in short else []
        if colours and name in colours:
            found.append(DynamicConfigValue("thresholds", colours[name].build()))
        if found:
            panel.override_by_name(name, found)
    return panel


def figures_of(
    title: str, description: str, targets: Mapping[str, Target], *, colours: Mapping[str, Any] | None = None
) -> Builder[Panel]:
    """Numbers below each other, each from a query of its own."""
    panel = (
        stat.Panel().title(title).description(description).targets(list(targets.values())).no_value(empty.DASH)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
        .graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.VALUE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME).justify_mode(BigValueJustifyMode.AUTO)
        .orientation(VizOrientation.HORIZONTAL).text(VizTextDisplayOptions().title_size(13).value_size(26))
        .thresholds(look.steps(look.PLAIN)).color_scheme(look.by_threshold())
    )  # fmt: skip
    for name, target in targets.items():
        found = [DynamicConfigValue("displayName", name)]
        if colours and name in colours:
            found.append(DynamicConfigValue("thresholds", colours[name].build()))
        panel.override_by_query(target.ref_id, found)
    return panel


def words(title: str, description: str, target: Target, names: Sequence[str]) -> Builder[Panel]:
    """Terms of one row side by side, each on its colour."""
    return (
        stat.Panel().title(title).description(description).with_target(target).no_value(empty.DASH)
        .with_transformation(only(*names)).with_transformation(arranged(*names))
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/").values(False))
        .graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.BACKGROUND)
        .text_mode(BigValueTextMode.VALUE_AND_NAME).justify_mode(BigValueJustifyMode.CENTER)
        .orientation(VizOrientation.VERTICAL).text(VizTextDisplayOptions().title_size(13).value_size(15))
        .thresholds(look.steps(look.NOTHING)).color_scheme(look.by_threshold())
    )  # fmt: skip


def bars(
    title: str, description: str, target: Target, none: str, *, unit: str = look.COUNT, colours: Any = None
) -> timeseries.Panel:
    """Counts over time, stacked; `colours` by series where the data brings none of its own."""
    panel = (
        _over_time(title, description, target, none, unit, colours)
        .draw_style(GraphDrawStyle.BARS)
        .line_width(0)
        .fill_opacity(80)
        .stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
        .max_data_points(BARS)
    )
    return panel.decimals(0) if unit == look.COUNT else panel


def lines(
    title: str, description: str, target: Target, none: str, *, unit: str, colours: Any = None, decimals: int = 1
) -> timeseries.Panel:
    """Measurements over time."""
    panel = _over_time(title, description, target, none, unit, colours).draw_style(GraphDrawStyle.LINE).line_width(1)
    return (
        panel.fill_opacity(15).line_interpolation(LineInterpolation.LINEAR).show_points(VisibilityMode.AUTO)
        .span_nulls(False).decimals(decimals)
    )  # fmt: skip


def _over_time(
    title: str, description: str, target: Target, none: str, unit: str, colours: Mapping[Any, str] | None
) -> timeseries.Panel:
    panel = (
        timeseries.Panel().title(title).description(description).with_target(target).unit(unit).min(0).no_value(none)
        .legend(
            VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
            .show_legend(True).calcs([])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )  # fmt: skip
    panel.override_by_field_type("number", [DynamicConfigValue("noValue", NO_TICK)])
    for name, colour in (colours or {}).items():
        panel.override_by_name(str(name), [look.colour_of(colour)])
    return panel


def rows(
    title: str,
    description: str,
    target: Target,
    none: str,
    *,
    columns: Mapping[str, int | None],
    unseen: Sequence[str] = (),
    overrides: Mapping[str, Sequence[DynamicConfigValue]] | None = None,
) -> table.Panel:
    """A table. `columns` are the names that fields are shown under, in order, with a width in pixels; those without one
    share what is left. `unseen` ones are there for links alone. Terms stand on their colours."""
    panel = (
        table.Panel().title(title).description(description).with_target(target).no_value(none)
        .with_transformation(only(*columns, *unseen)).with_transformation(arranged(*columns)).show_header(True)
    )  # fmt: skip
    # Without a unit Grafana adds milliseconds where all rows are within a minute, for which no column has room.
    panel.override_by_field_type("time", [DynamicConfigValue("unit", "dateTimeAsIso")])
    _columns(panel, columns, overrides or {})
    for name in unseen:
        panel.override_by_name(name, [DynamicConfigValue("custom.hidden", True)])
    return panel


def _columns(
    panel: table.Panel, columns: Mapping[str, int | None], overrides: Mapping[str, Sequence[DynamicConfigValue]]
) -> None:
    for name, width in columns.items():
        found = list(overrides.get(name, ()))
        if all(one.id_val != "noValue" for one in found):
            found.append(
                DynamicConfigValue("noValue", empty.DASH)
            )  # of one cell; the panel's own is for no rows at all
        if width is not None:
            found.append(DynamicConfigValue("custom.width", width))
        if name in WORDS:
            # What 9.4 reads; newer versions turn it into a cell type, as the dashboard's schema version tells them to.
            found.append(DynamicConfigValue("custom.displayMode", PILL))
            found.append(DynamicConfigValue("custom.align", "center"))
        panel.override_by_name(name, found)


def table_of(
    title: str,
    description: str,
    target: Target,
    none: str,
    *,
    columns: Mapping[str, tuple[str, int | None]],
    steps: Sequence[DataTransformerConfig] = (),
    overrides: Mapping[str, Sequence[DynamicConfigValue]],
) -> table.Panel:
    """A table of what Loki answers, after `steps`: `columns` are fields, by name, with the name to show and a width;
    what is not named is left out."""
    kept = DataTransformerConfig(id_val="filterFieldsByName", options={"include": {"names": list(columns)}})
    organised = DataTransformerConfig(
        id_val="organize",
        options={
            "indexByName": {name: place for place, name in enumerate(columns)},
            "excludeByName": {},
            "renameByName": {name: shown for name, (shown, _) in columns.items()},
        },
    )
    panel = table.Panel().title(title).description(description).with_target(target).no_value(none).show_header(True)
    for step in (*steps, kept, organised):
        panel.with_transformation(step)
    panel.override_by_field_type("time", [DynamicConfigValue("unit", "dateTimeAsIso")])
    _columns(panel, dict(columns.values()), overrides)
    return panel


def fields_of_labels() -> DataTransformerConfig:
    """Of log lines: their labels and metadata as columns."""
    return DataTransformerConfig(id_val="extractFields", options={"source": "labels", "replace": False})


def by_value(field: str, *, descending: bool = False) -> DataTransformerConfig:
    return DataTransformerConfig(
        id_val="sortBy", options={"fields": {}, "sort": [{"field": field, "desc": descending}]}
    )


def first_of_each(keys: Sequence[str], *fields: str) -> DataTransformerConfig:
    """One row for each value of `keys`, with the first values of the other fields, which are then called by `first`.
    Of lines without these keys, as of no lines at all, nothing is left: then a table says its own text in 9.4 too."""
    grouped: dict[str, Any] = {name: {"operation": "groupby", "aggregations": []} for name in keys}
    grouped |= {name: {"operation": "aggregate", "aggregations": ["first"]} for name in fields}
    return DataTransformerConfig(id_val="groupBy", options={"fields": grouped})


def first(field: str) -> str:
    """What `first_of_each` calls it."""
    return f"{field} (first)"


def only_where(field: str, value: str) -> DataTransformerConfig:
    matches = [{"fieldName": field, "config": {"id": "equal", "options": {"value": value}}}]
    return DataTransformerConfig(
        id_val="filterByValue", options={"filters": matches, "type": "include", "match": "all"}
    )


def how_many(
    title: str, description: str, target: Target, steps: Sequence[DataTransformerConfig], thresholds: Any
) -> stat.Panel:
    """The number of rows that are left after `steps`. Each of their fields comes to one row with its count, a number:
    thresholds give no colour to the count of a text."""
    counted = DataTransformerConfig(id_val="reduce", options={"reducers": ["count"]})
    panel = (
        stat.Panel().title(title).description(description).with_target(target).no_value(empty.DASH)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("/^Count$/").values(False))
        .graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.VALUE).text_mode(BigValueTextMode.VALUE)
        .justify_mode(BigValueJustifyMode.CENTER).orientation(VizOrientation.HORIZONTAL)
        .text(VizTextDisplayOptions().value_size(48)).thresholds(thresholds).color_scheme(look.by_threshold())
    )  # fmt: skip
    for step in (*steps, counted):
        panel.with_transformation(step)
    return panel


# Whatever the panels below are told to say, 9.4 says "No data" there: the answer itself brings what to say instead.


def explained(target: Target, text: str) -> Target:
    """The query, which answers with that text where there is nothing."""
    return Target(target.source, {**target.to_json(), "empty": text}, target.ref_id)


def sentences(title: str, description: str, target: Target, none: str) -> logs.Panel:
    """Texts that wrap, the latest first: a panel that puts the oldest first shows the end of what it has."""
    return (
        logs.Panel().title(title).description(description).with_target(explained(target, none)).no_value(none)
        .show_time(False)
        .show_labels(False).show_common_labels(False).wrap_log_message(True).prettify_log_message(False)
        .enable_log_details(False).sort_order(LogsSortOrder.DESCENDING)
    )  # fmt: skip


def log_lines(title: str, description: str, target: Target, none: str, *, newest_first: bool) -> logs.Panel:
    """Log lines with their time and details."""
    order = LogsSortOrder.DESCENDING if newest_first else LogsSortOrder.ASCENDING
    return (
        logs.Panel().title(title).description(description).with_target(explained(target, none)).no_value(none)
        .show_time(True)
        .show_labels(False).show_common_labels(False).wrap_log_message(True).prettify_log_message(False)
        .enable_log_details(True).sort_order(order)
    )  # fmt: skip


def states(title: str, description: str, target: Target, none: str, *, brief: str = "") -> statetimeline.Panel:
    """States over time; their colours come with the data. A bar has room for `brief` where `none` is too long."""
    return (
        statetimeline.Panel().title(title).description(description).with_target(explained(target, brief or none))
        .no_value(none)
        .show_value(VisibilityMode.AUTO).row_height(0.8).merge_values(True).fill_opacity(80).line_width(0)
        .legend(
            VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
            .show_legend(False).calcs([])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.SINGLE).sort(SortOrder.NONE))
    )  # fmt: skip


def graph(title: str, description: str, target: Target, none: str, *, brief: str) -> nodegraph.Panel:
    """Nodes and edges; `brief` is two sentences of 20 letters, for which a node has room."""
    shown = nodegraph.Panel().title(title).description(f"{description} {none}").no_value(none)
    return shown.with_target(explained(target, brief))


def note(content: str, *, title: str = "", links: Sequence[DashboardLink] = ()) -> text.Panel:
    """Markdown that never changes."""
    panel = text.Panel().title(title).mode(TextMode.MARKDOWN).content(content)
    return panel.links(list(links)) if links else panel
