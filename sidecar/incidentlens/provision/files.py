"""Files for Grafana's provisioning folder, in shapes that 9.4 to 13 read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import yaml

from . import messages
from .options import Options
from .resources import CONTACTS, DATA_SOURCE, FOLDER, FOLDER_UID, GROUP, NOBODY, RULES, Resources, resources

HEAD = "# Written by `incidentlens provision`; it is written anew when that runs again.\n"
_POLICIES = "alerting/incidentlens-policies.yaml"
BESIDE = "/etc/grafana/provisioning/dashboards/incidentlens"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def write(folder: Path, options: Options) -> list[Path]:
    """Write what `options` ask for below `folder`; the files, in order. What is there already is written over."""
    found = resources(options)
    texts = {"datasources/incidentlens.yaml": _data_sources(found)} if found.data_source else {}
    if found.dashboards or options.dashboards_path:
        texts["dashboards/incidentlens.yaml"] = _dashboards(options)
    if options.alerting:
        texts["alerting/incidentlens-rules.yaml"] = _rules(found, options)
        texts["alerting/incidentlens-contacts.yaml"] = _contacts(found)
        if found.route is not None:
            texts[_POLICIES] = _policies(found)
    paths = _write(folder, texts)
    if not options.dashboards_path:
        for dashboard in found.dashboards:
            path = folder / "dashboards/incidentlens" / f"{dashboard['uid']}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(orjson.dumps(dashboard, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
            paths.append(path)
    return paths


def removal_files(folder: Path) -> list[Path]:
    """Replace what `write` wrote by files that make Grafana delete it, at its next start or reload."""
    had_policies = (folder / _POLICIES).exists()
    for path in [*folder.glob("dashboards/incidentlens/*.json"), *folder.glob("*/incidentlens*.yaml")]:
        path.unlink()
    mine = folder / "dashboards/incidentlens"
    if mine.is_dir() and not any(mine.iterdir()):
        mine.rmdir()
    gone: dict[str, Any] = {
        "apiVersion": 1,
        "deleteRules": [{"orgId": 1, "uid": uid} for uid in RULES],
        "deleteContactPoints": [{"orgId": 1, "uid": uid} for uid in CONTACTS],
        "deleteTemplates": [{"orgId": 1, "name": messages.NAME}],
        "deleteMuteTimes": [{"orgId": 1, "name": NOBODY}],
    }
    if had_policies:
        gone["resetPolicies"] = [1]
    sources = {"apiVersion": 1, "deleteDatasources": [{"name": "IncidentLens", "orgId": 1}]}
    return _write(
        folder,
        {"datasources/incidentlens.yaml": _dump(sources), "alerting/incidentlens-remove.yaml": _dump(gone)},
    )


def _write(folder: Path, texts: dict[str, str]) -> list[Path]:
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        paths.append(path)
    return paths


def _dump(value: dict[str, Any], comment: str = "") -> str:
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return HEAD + comment + text


def _data_sources(found: Resources) -> str:
    source = {**(found.data_source or {}), "orgId": 1, "editable": False, "version": 1}
    return _dump({"apiVersion": 1, "datasources": [source]})


def _dashboards(options: Options) -> str:
    provider = {
        "name": DATA_SOURCE,
        "orgId": 1,
        "folder": FOLDER,
        "folderUid": FOLDER_UID,
        "type": "file",
        "disableDeletion": False,
        "allowUiUpdates": False,
        "updateIntervalSeconds": 30,
        "options": {"path": options.dashboards_path or BESIDE},
    }
    return _dump({"apiVersion": 1, "providers": [provider]})


def _rules(found: Resources, options: Options) -> str:
    rules = []
    for rule in found.rules:
        kept = {key: value for key, value in rule.items() if key not in ("orgID", "folderUID", "ruleGroup")}
        kept["data"] = [{key: value for key, value in query.items() if key != "queryType"} for query in rule["data"]]
        rules.append(kept)
    group = {"orgId": 1, "name": GROUP, "folder": FOLDER, "interval": options.interval, "rules": rules}
    return _dump({"apiVersion": 1, "groups": [group]})


def _contacts(found: Resources) -> str:
    """Grafana reads templates and mute timings before the contact points and policies that name them."""
    points = [
        {
            "orgId": 1,
            "name": contact["name"],
            "receivers": [{key: value for key, value in contact.items() if key != "name"}],
        }
        for contact in found.contacts
    ]
    value: dict[str, Any] = {
        "apiVersion": 1,
        "templates": [{"orgId": 1, "name": messages.NAME, "template": found.template}],
        "contactPoints": points,
    }
    if found.mute is not None:
        value["muteTimes"] = [{"orgId": 1, **found.mute}]
    return _dump(value)


def _policies(found: Resources) -> str:
    """The whole tree: only for a Grafana that has none of its own."""
    route = found.route or {}
    root = {"orgId": 1, "receiver": route["receiver"], "group_by": ["grafana_folder", "alertname"], "routes": [route]}
    comment = (
        "# This file replaces the organisation's whole notification policy tree. Where there is one already, leave it\n"
        "# out: give `--routing rule` (Grafana 11 and newer), or let `incidentlens provision --grafana` add a branch.\n"
    )
    return _dump({"apiVersion": 1, "policies": [root]}, comment)
