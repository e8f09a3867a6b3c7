"""The ruler's API: rules in and out as YAML, and Prometheus' view of rules and alerts."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .alerting import expression_text
from .gotext import format_exponent, format_rfc3339, quote
from .httpio import JSON_BARE, TEXT, YAML, ApiError, Form, json_response, read_body, text_response
from .limits import SECOND
from .ruler import Alert, GroupState, Ruler, RuleState
from .rules import RuleError, RuleStore, group_yaml, groups_yaml, parse_group
from .service import Service

_MAX_YAML = 2 << 20
_NONE_FOUND = "no rule groups found"
_NEVER = "0001-01-01T00:00:00Z"


def _done(status: int = 202, data: Any = None) -> Response:
    body = {"status": "success", "data": data, "errorType": "", "error": ""}
    return json_response(body, media_type=JSON_BARE, status=status, line_feed=False)


def list_rules(rules: RuleStore, tenant: str, namespace: str | None) -> Response:
    """All groups, or those of a namespace; none is a 404."""
    found = rules.groups(tenant, namespace)
    if not found:
        raise ApiError(404, _NONE_FOUND, line_feed=True)
    return text_response(200, groups_yaml(found), media_type=YAML)


def get_group(rules: RuleStore, tenant: str, namespace: str, name: str) -> Response:
    """One group."""
    group = rules.get(tenant, namespace, name)
    if group is None:
        raise ApiError(404, "group does not exist", line_feed=True)
    return text_response(200, group_yaml(group), media_type=YAML)


async def put_group(service: Service, rules: RuleStore, tenant: str, namespace: str, request: Request) -> Response:
    """Keep a group; refused with Loki's text when it is not sound."""
    body = await read_body(request, _MAX_YAML)
    try:
        group = parse_group(body)
    except RuleError as error:
        raise ApiError(400, str(error), line_feed=True) from None
    limits = service.limits
    if len(group.rules) > limits.max_rules_per_group:
        text = "per-user rules per rule group limit"
        text += f" (limit: {limits.max_rules_per_group} actual: {len(group.rules)}) exceeded"
        raise ApiError(400, text, line_feed=True)
    count = rules.count(tenant) + (rules.get(tenant, namespace, group.name) is None)
    if count > limits.max_rule_groups:
        text = f"per-user rule groups limit (limit: {limits.max_rule_groups} actual: {count}) exceeded"
        raise ApiError(400, text, line_feed=True)
    try:
        rules.put(tenant, namespace, group)
    except sqlite3.Error as error:
        raise ApiError(500, f"the rule group could not be written: {error}", line_feed=True) from None
    return _done()


def delete_rules(rules: RuleStore, tenant: str, namespace: str, name: str | None) -> Response:
    """Forget a group or a namespace. A group that is not there is no error, a namespace that is not there is a 404."""
    if not rules.delete(tenant, namespace, name) and name is None:
        raise ApiError(404, "group namespace does not exist", line_feed=True)
    return _done()


def _seconds(ns: int) -> float | int:
    return ns // SECOND if ns % SECOND == 0 else ns / SECOND


def _moment(ns: int) -> str:
    return format_rfc3339(ns, nano=True) if ns else _NEVER


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "state": alert.state,
        "activeAt": _moment(alert.active_at),
        "value": format_exponent(alert.value),
    }


def _rule(state: RuleState, *, with_alerts: bool) -> dict[str, Any]:
    rule = state.rule
    tail = {
        "health": state.health,
        "lastError": state.last_error,
        "type": "alerting" if rule.alert else "recording",
        "lastEvaluation": _moment(state.evaluated_at),
        "evaluationTime": round(state.took_s, 9),
    }
    if rule.record:
        return {"name": rule.record, "query": expression_text(rule.expr), "labels": rule.labels, **tail}
    return {
        "state": state.state,
        "name": rule.alert,
        "query": expression_text(rule.expr),
        "duration": _seconds(rule.hold_ns),
        "labels": rule.labels,
        "annotations": rule.annotations,
        "alerts": [_alert(alert) for alert in state.active()] if with_alerts else [],
        **tail,
    }


def _group(group: GroupState, rules: list[RuleState], *, with_alerts: bool) -> dict[str, Any]:
    return {
        "name": group.group.name,
        "file": group.namespace,
        "rules": [_rule(state, with_alerts=with_alerts) for state in rules],
        "interval": _seconds(group.interval_ns),
        "limit": group.group.limit,
        "lastEvaluation": _moment(group.evaluated_at),
        "evaluationTime": round(group.took_s, 9),
    }


def prometheus_rules(ruler: Ruler, tenant: str, form: Form, now: int) -> Response:
    """`/prometheus/api/v1/rules`, with its filters."""
    kind = form.first("type").lower()
    if kind not in ("", "alert", "record"):
        body = {"status": "error", "data": None, "errorType": "bad_data", "error": f"not supported value {quote(kind)}"}
        return json_response(body, media_type=TEXT, status=400, line_feed=False)
    files, names, rule_names = (form.get(key, []) for key in ("file[]", "rule_group[]", "rule_name[]"))
    with_alerts = form.first("exclude_alerts").lower() not in ("true", "1")
    groups = []
    for group in ruler.groups(tenant, now):
        if (files and group.namespace not in files) or (names and group.group.name not in names):
            continue
        rules = [
            state
            for state in group.rules
            if (not kind or (kind == "alert") == bool(state.rule.alert))
            and (not rule_names or (state.rule.alert or state.rule.record) in rule_names)
        ]
        if rules:
            groups.append(_group(group, rules, with_alerts=with_alerts))
    return _done(200, {"groups": groups})


def prometheus_alerts(ruler: Ruler, tenant: str, now: int) -> Response:
    """`/prometheus/api/v1/alerts`: what is pending or firing."""
    alerts = [_alert(alert) for group in ruler.groups(tenant, now) for state in group.rules for alert in state.active()]
    return _done(200, {"alerts": alerts})
