"""Questions about labels, series, amounts, fields and patterns."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from ..logql import ast
from ..logql.ast import Matcher
from ..logql.errors import LogQLError
from ..logql.parse import parse
from .detected import FieldFinder, detected_labels
from .heads import StreamState
from .httpio import JSON_BARE, ApiError, Form, json_response, raw_json
from .labels import Labels
from .limits import HOUR, LEVEL_FIELDS, OTLP_INDEX_ATTRIBUTES, SECOND, SERVICE_LABELS, Limits
from .params import bounds, check_length, check_metadata_span, ordered_bounds, positive, range_query, step_of
from .patterns import mine
from .queries import pipeline_entries
from .reading import TenantSource
from .service import Service
from .volumes import DEFAULT_LIMIT, TooManySeries, VolumeQuery, VolumeSeries

VERSION = "3.7.6"
"""The Loki whose behaviour this server follows; Grafana asks for it to know what it may use."""

BUILD_INFO = {
    "version": VERSION,
    "revision": "5003600d",
    "branch": "v3.7.6",
    "buildUser": "peers@local",
    "buildDate": "2026",
    "goVersion": "",
}
"""Of the Loki whose answers were recorded."""

_ONLY_MATCHERS = "only label matchers are supported"
_FIELD_LIMIT = 1000
_PATTERNS_RETAINED_NS = 3 * HOUR


def matchers_of(text: str) -> tuple[Matcher, ...]:
    """The matchers of a selector that must stand alone. Raises ApiError."""
    try:
        expr = parse(text)
    except LogQLError as error:
        raise ApiError(error.status, str(error)) from None
    if not isinstance(expr, ast.Logs) or expr.stages:
        raise ApiError(400, _ONLY_MATCHERS)
    return expr.matchers


def _streams(service: Service, tenant: str, text: str, start: int, end: int) -> list[StreamState]:
    matchers = matchers_of(text) if text else ()
    return [stream for stream, _, _ in service.store.matching(tenant, matchers, start, end)]


def _success(data: Any) -> dict[str, Any]:
    # A list without members is left out altogether.
    return {"status": "success", "data": data} if data else {"status": "success"}


def label_names(service: Service, tenant: str, form: Form) -> Response:
    """`labels`: the names of labels in a span, of all streams or those of `query`."""
    start, end = bounds(form, service.clock.now())
    check_metadata_span(start, end, service.limits)
    # As in Loki the query counts for values only.
    if form.first("query"):
        matchers_of(form.first("query"))
    names = {name for stream in _streams(service, tenant, "", start, end) for name in stream.labels}
    return json_response(_success(sorted(names)))


def label_values(service: Service, tenant: str, form: Form, name: str) -> Response:
    """`label/{name}/values`."""
    start, end = bounds(form, service.clock.now())
    check_metadata_span(start, end, service.limits)
    streams = _streams(service, tenant, form.first("query"), start, end)
    return json_response(_success(sorted({stream.labels[name] for stream in streams if name in stream.labels})))


def legacy_labels(service: Service, tenant: str, form: Form, name: str | None) -> Response:
    """`/api/prom/label…`: the same without a status."""
    start, end = bounds(form, service.clock.now())
    streams = _streams(service, tenant, "", start, end)
    if name is None:
        values = {label for stream in streams for label in stream.labels}
    else:
        values = {stream.labels[name] for stream in streams if name in stream.labels}
    return json_response({"values": sorted(values)} if values else {})


def series(service: Service, tenant: str, form: Form) -> Response:
    """`series`: the label sets that match any of the selectors; all without one, or with `{}`."""
    start, end = bounds(form, service.clock.now())
    groups = sorted({*form.get("match", []), *form.get("match[]", [])})
    if len(groups) == 1 and groups[0].replace(" ", "") == "{}":
        groups = []
    selectors = [matchers_of(group) for group in groups] or [()]
    check_metadata_span(start, end, service.limits)
    found: dict[str, Labels] = {}
    for selector in selectors:
        for stream, _, _ in service.store.matching(tenant, selector, start, end):
            found[stream.text] = stream.labels
    return json_response({"status": "success", "data": [found[text] for text in sorted(found)]})


def index_stats(service: Service, tenant: str, form: Form) -> Response:
    """`index/stats`: streams, chunks, bytes and entries."""
    query = range_query(form, service.clock.now())
    stats = service.volumes.stats(tenant, matchers_of(query.query), query.start, query.end)
    return json_response(
        {"streams": stats.streams, "chunks": stats.chunks, "bytes": stats.bytes, "entries": stats.entries}
    )


def index_volume(service: Service, tenant: str, form: Form, *, over_range: bool) -> Response:
    """`index/volume` and `index/volume_range`: bytes by series, or by label."""
    now = service.clock.now()
    if form.first("limit") == "0":
        form["limit"] = [str(DEFAULT_LIMIT)]
    limit = positive(form, DEFAULT_LIMIT, "limit")
    start, end = ordered_bounds(form, now)
    step = step_of(form, start, end) if over_range else 0
    by = form.first("aggregateBy") or "series"
    if by not in ("series", "labels"):
        raise ApiError(400, "invalid aggregation option")
    text = form.first("query")
    matchers = () if text.replace(" ", "") == "{}" else matchers_of(text)
    targets = tuple(name for name in form.first("targetLabels").split(",") if name)
    # Times are kept in milliseconds from here on, outwards.
    start, end = start // 1_000_000 * 1_000_000, -(-end // 1_000_000) * 1_000_000
    check_length(end - start, service.limits)
    query = VolumeQuery(text, matchers, start, end, step, limit, targets, by == "series")
    try:
        found = service.volumes.volumes(tenant, query, now)
    except TooManySeries as error:
        raise ApiError(400, str(error)) from None
    # Volumes come through what writes metric results, which puts no line feed at the end.
    return json_response({"status": "success", "data": _volume_data(found)}, line_feed=False)


def _seconds(ns: int) -> float | int:
    millis = ns // 1_000_000
    return millis // 1000 if millis % 1000 == 0 else millis / 1000


def _volume_data(found: list[VolumeSeries]) -> dict[str, Any]:
    rows: list[dict[str, Any]]
    if any(len(one.samples) > 1 for one in found):
        rows = [
            {"metric": one.labels, "values": [[_seconds(moment), str(amount)] for moment, amount in one.samples]}
            for one in found
        ]
        return {"resultType": "matrix", "result": rows, "stats": {}}
    rows = [{"metric": one.labels, "value": [_seconds(one.samples[0][0]), str(one.samples[0][1])]} for one in found]
    return {"resultType": "vector", "result": rows, "stats": {}}


def labels_detected(service: Service, tenant: str, form: Form) -> Response:
    """`detected_labels`: labels worth showing, with the number of their values."""
    start, end = ordered_bounds(form, service.clock.now())
    found = detected_labels(_streams(service, tenant, form.first("query"), start, end))
    return json_response({"detectedLabels": found} if found else {})


def fields_detected(service: Service, tenant: str, form: Form, name: str | None) -> Response:
    """`detected_fields`, and with a name the values of that field."""
    now = service.clock.now()
    start, end = ordered_bounds(form, now)
    lines = positive(form, 100, "line_limit")
    limit = positive(form, _FIELD_LIMIT, "limit", "field_limit")
    step_of(form, start, end)
    try:
        logs = parse(form.first("query"))
    except LogQLError as error:
        raise ApiError(error.status, str(error)) from None
    if not isinstance(logs, ast.Logs):
        raise ApiError(400, "only log selector is supported")
    finder = FieldFinder(limit if name is None else _FIELD_LIMIT)
    for labels, entry, parsed in pipeline_entries(
        logs, TenantSource(service.store, tenant), start, end, min(lines, service.limits.max_entries)
    ):
        finder.take(labels, entry, parsed)
    if name is None:
        fields = [field.as_json() for _, field in sorted(finder.fields.items())]
        return json_response({"fields": fields, "limit": limit} if fields else {})
    field = finder.fields.get(name)
    if field is None:
        return json_response({})
    return json_response({"limit": limit, "values": sorted(field.values)[:limit]})


def patterns(service: Service, tenant: str, form: Form) -> Response:
    """`patterns`: of the last three hours, as Loki's pattern ingester keeps them."""
    now = service.clock.now()
    start, end = ordered_bounds(form, now)
    step = step_of(form, start, end) if form.first("step") else max((end - start) // SECOND // 250, 10) * SECOND
    selector = matchers_of(form.first("query"))
    source = TenantSource(service.store, tenant)
    recent = max(start, now - _PATTERNS_RETAINED_NS)
    found = mine((entry for stream in source.streams(selector, recent, end) for entry in stream.entries), recent, step)
    body = {
        "status": "success",
        "data": [{"pattern": text, "level": level, "samples": samples} for text, level, samples in found.patterns()],
    }
    return raw_json(orjson.dumps(body).replace(b"<", b"\\u003c").replace(b">", b"\\u003e"))


def drilldown_limits(limits: Limits) -> Response:
    """`drilldown-limits`: what Grafana's Logs Drilldown asks before it starts."""
    body = {
        "limits": {
            "discover_log_levels": True,
            "discover_service_name": list(SERVICE_LABELS),
            "log_level_fields": list(LEVEL_FIELDS),
            "max_entries_limit_per_query": limits.max_entries,
            "max_line_size_truncate": False,
            "max_query_bytes_read": "0B",
            "max_query_length": "30d1h",
            "max_query_lookback": "0s",
            "max_query_range": "0s",
            "max_query_series": limits.max_series,
            "metric_aggregation_enabled": False,
            "otlp_config": {
                "resource_attributes": {
                    "attributes_config": [{"action": "index_label", "attributes": list(OTLP_INDEX_ATTRIBUTES)}]
                }
            },
            "pattern_persistence_enabled": False,
            "query_timeout": "1m",
            "retention_period": "0s",
            "volume_enabled": True,
            "volume_max_series": limits.volume_max_series,
        },
        "pattern_ingester_enabled": True,
        "version": VERSION,
    }
    return json_response(body, media_type=JSON_BARE)


def config_text(service: Service) -> str:
    """`/config`: the settings in force, as YAML."""
    limits = service.limits
    rows = [f"auth_enabled: {str(service.auth).lower()}", "target: local", "limits_config:"]
    rows += [f"    {name}: {getattr(limits, name)}" for name in limits.__dataclass_fields__]
    return "\n".join(rows) + "\n"
