"""What there is to provision, in the shapes of Grafana's HTTP API; `files` turns them into those of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import messages
from .options import Contact, Options, Routing

DATA_SOURCE = "incidentlens"
DATA_SOURCE_TYPE = "incidentlens-datasource"
FOLDER_UID = "incidentlens"
FOLDER = "IncidentLens"
GROUP = "incidentlens"
RULE = "incidentlens-open"
NOBODY = "incidentlens-nobody"  # a mute timing that always holds
INCIDENT_DASHBOARD = "incidentlens-incident"
MARK = ("source", "incidentlens")  # label of every alert of ours
RULES = (RULE, "incidentlens-rule-escalate", "incidentlens-rule-oncall", "incidentlens-rule-dev")
CONTACTS = ("incidentlens-escalate", "incidentlens-oncall", "incidentlens-dev")

# Without `$`, which files would take for a variable of the environment. The alert of an error has no incident.
RAISED = (
    '{{ if index .Labels "incident_id" }}{{ if eq .Values.A.Value 0.0 }}NEEDS_ONCALL'
    "{{ else if lt .Values.A.Value 0.0 }}ESCALATE{{ end }}{{ end }}"
)
_GROUP_BY = ["grafana_folder", "alertname", "incident_id"]  # one message an incident
_TIMING = {"group_wait": "1s", "group_interval": "30s", "repeat_interval": "4h"}


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything, ready to be written or sent. `route` is our branch of the policy tree, None where there is none."""

    data_source: dict[str, Any] | None
    dashboards: tuple[dict[str, Any], ...]
    rules: tuple[dict[str, Any], ...]
    contacts: tuple[dict[str, Any], ...]
    template: str
    mute: dict[str, Any] | None
    route: dict[str, Any] | None


def resources(options: Options) -> Resources:
    """What `options` ask for."""
    contacts = options.contacts if options.alerting else ()
    policy = options.routing is Routing.POLICY
    linked = any(dashboard["uid"] == INCIDENT_DASHBOARD for dashboard in options.dashboards)
    return Resources(
        data_source=_data_source(options) if options.data_source else None,
        dashboards=options.dashboards,
        rules=tuple(_rules(options, contacts)) if options.alerting else (),
        contacts=tuple(_contact(contact) for contact in contacts),
        template=messages.templates(linked) if options.alerting else "",
        mute=_mute() if options.alerting and policy and contacts else None,
        route=_route(contacts) if options.alerting and policy and contacts else None,
    )


def _data_source(options: Options) -> dict[str, Any]:
    settings = {"project": options.project, "lokiUid": options.loki_uid}
    source: dict[str, Any] = {
        "name": "IncidentLens",
        "type": DATA_SOURCE_TYPE,
        "uid": DATA_SOURCE,
        "access": "proxy",
        "isDefault": False,
        "jsonData": {name: value for name, value in settings.items() if value},
    }
    if options.token:
        source["secureJsonData"] = {"token": options.token}
    return source


def _rules(options: Options, contacts: Sequence[Contact]) -> list[dict[str, Any]]:
    if options.routing is Routing.POLICY:
        return [_rule(options, RULE, "Open incidents", None)]
    return [
        _rule(options, contact.uid.replace("incidentlens-", "incidentlens-rule-"), f"Open incidents: {value}", contact)
        for contact in contacts
        for value in [contact.disposition.value]
    ]


def _rule(options: Options, uid: str, title: str, contact: Contact | None) -> dict[str, Any]:
    """One alert instance a row of `open_alerts`: its strings are the labels, its 1 is over the threshold. A value below
    says that the incident goes on and who has it now (`RAISED`), which the message tells instead of an end.

    No rows is well. While IncidentLens does not answer, Grafana 11 and newer keep what was firing; before that the
    error is an alert of its own, which goes to whoever is on call.
    """
    asked: dict[str, Any] = {
        "refId": "A",
        "queryType": "open_alerts",
        "datasource": {"type": DATA_SOURCE_TYPE, "uid": DATA_SOURCE},
        "intervalMs": 1000,
        "maxDataPoints": 2000,
    }
    if contact is not None:
        asked["disposition"] = [contact.disposition.value]
    threshold = {
        "refId": "B",
        "type": "threshold",
        "datasource": {"type": "__expr__", "uid": "__expr__"},
        "expression": "A",
        "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
        "intervalMs": 1000,
        "maxDataPoints": 2000,
    }
    rule: dict[str, Any] = {
        "uid": uid,
        "orgID": 1,
        "folderUID": FOLDER_UID,
        "ruleGroup": GROUP,
        "title": title,
        "condition": "B",
        "for": "0s",
        "noDataState": "OK",
        "execErrState": "KeepLast" if options.version >= (11, 0) else "Error",
        "labels": dict([MARK]),
        "annotations": {
            "summary": "{{ $labels.title }}",
            "raised_to": RAISED,
            "incident_url": f"{options.public_url.rstrip('/')}/incidents/{{{{ $labels.incident_id }}}}",
        },
        "data": [
            {
                "refId": "A",
                "queryType": "open_alerts",
                "relativeTimeRange": {"from": 3600, "to": 0},
                "datasourceUid": DATA_SOURCE,
                "model": asked,
            },
            {
                "refId": "B",
                "queryType": "",
                "relativeTimeRange": {"from": 3600, "to": 0},
                "datasourceUid": "__expr__",
                "model": threshold,
            },
        ],
    }
    if contact is not None:
        rule["notification_settings"] = {"receiver": contact.name, "group_by": _GROUP_BY, **_TIMING}
    return rule


def _contact(contact: Contact) -> dict[str, Any]:
    settings: dict[str, Any]
    if contact.kind == "discord":
        settings = {
            "url": contact.target,
            "title": '{{ template "incidentlens.discord.title" . }}',
            "message": '{{ template "incidentlens.discord.message" . }}',
            "use_discord_username": False,
        }
    else:
        settings = {
            "addresses": contact.target,
            "singleEmail": True,
            "subject": '{{ template "incidentlens.email.subject" . }}',
            "message": '{{ template "incidentlens.email.message" . }}',
        }
    return {
        "uid": contact.uid,
        "name": contact.name,
        "type": contact.kind,
        "settings": settings,
        "disableResolveMessage": False,
    }


def _mute() -> dict[str, Any]:
    """Always: the only way to tell nobody that every version knows."""
    return {"name": NOBODY, "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]}


def _route(contacts: Sequence[Contact]) -> dict[str, Any]:
    """Our branch: each disposition to its contact point, what nobody is told of to nobody. What has no disposition
    (IncidentLens does not answer) goes to whoever is on call."""
    oncall = next((contact for contact in contacts if contact.kind == "email"), contacts[0])
    routes = [
        {"receiver": contact.name, "object_matchers": [["disposition", "=", contact.disposition.value]]}
        for contact in contacts
    ]
    nobody = {
        "receiver": oncall.name,
        "object_matchers": [["disposition", "=~", "OBSERVE|NO_ACTION"]],
        "mute_time_intervals": [NOBODY],
    }
    return {
        "receiver": oncall.name,
        "object_matchers": [[MARK[0], "=", MARK[1]]],
        "group_by": _GROUP_BY,
        **_TIMING,
        "routes": [*routes, nobody],
    }
