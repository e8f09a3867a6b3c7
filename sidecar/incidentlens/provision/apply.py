"""Brings a running Grafana to what is wanted by its HTTP API (9.4 to 13), and takes it away again.

Each thing is read first: what agrees is left alone, what differs is changed in place, what has our name but is not
ours is a Conflict and nothing of it is touched. The notification policy tree keeps all of its own; ours is one branch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incidentlens.publish.grafana_http import GrafanaClient, GrafanaNotFound, GrafanaRefused

from . import messages
from .options import Options, version_of
from .resources import (
    CONTACTS,
    DATA_SOURCE,
    DATA_SOURCE_TYPE,
    FOLDER,
    FOLDER_UID,
    GROUP,
    MARK,
    NOBODY,
    RULES,
    Resources,
    resources,
)

_API = "/api/v1/provisioning"
_EDITABLE = {"X-Disable-Provenance": "true"}
# What Grafana adds to what it was sent, or shows differently.
_OWN = ("id", "orgID", "orgId", "updated", "provenance", "version", "readOnly", "secureJsonFields", "typeLogoUrl")
_SECRET = "[REDACTED]"  # noqa: S105 (how Grafana shows a contact point's secret)


class Conflict(Exception):
    """Something of that name is there and is not ours."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one thing: `made`, `changed`, `unchanged`, `removed`."""

    kind: str
    name: str
    result: str


async def grafana_version(client: GrafanaClient) -> tuple[int, int]:
    """Raises GrafanaError; (9, 4) where Grafana hides its version."""
    health = await client.get("/api/health")
    version = health.get("version") if isinstance(health, dict) else None
    if not version:
        settings = await client.get("/api/frontend/settings")
        version = (settings.get("buildInfo") or {}).get("version") if isinstance(settings, dict) else None
    return version_of(version) if version else (9, 4)


async def has_own_policies(client: GrafanaClient) -> bool:
    """Whether somebody has given the organisation branches other than ours."""
    tree = await client.get(f"{_API}/policies")
    return any(not _is_ours(route) for route in tree.get("routes") or ())


async def apply(client: GrafanaClient, options: Options) -> list[Applied]:
    """Raises GrafanaError and Conflict; what was done before that stays, and running it again goes on."""
    wanted = resources(options)
    await _check(client, wanted)
    done: list[Applied] = []
    if wanted.data_source is not None:
        done.append(await _data_source(client, wanted.data_source))
    folder = FOLDER_UID
    if wanted.rules or wanted.dashboards:
        folder, applied = await _folder(client)
        done.append(applied)
    done += [await _dashboard(client, dashboard, folder) for dashboard in wanted.dashboards]
    if wanted.template:
        done.append(await _template(client, wanted.template))
    done += [await _contact(client, contact) for contact in wanted.contacts]
    if wanted.mute is not None:
        done.append(await _mute(client, wanted.mute))
    if wanted.template:
        done += await _policy(client, wanted.route)
        done += await _rules(client, wanted, options, folder)
        if wanted.mute is None:
            done += await _gone(client, "mute timing", f"{_API}/mute-timings/{NOBODY}", NOBODY)
    return done


async def remove(client: GrafanaClient, options: Options) -> list[Applied]:
    """Take away all that `apply` may have made, in the order in which nothing is in use any more."""
    done: list[Applied] = []
    done += await _without_rules(client, RULES)
    done += await _policy(client, None)
    mine = [point for point in await client.get(f"{_API}/contact-points") or () if point["uid"] in CONTACTS]
    for point in mine:
        await client.ask("DELETE", f"{_API}/contact-points/{point['uid']}")
        done.append(Applied("contact point", point["name"], "removed"))
    done += await _gone(client, "mute timing", f"{_API}/mute-timings/{NOBODY}", NOBODY)
    done += await _gone(client, "message template", f"{_API}/templates/{messages.NAME}", messages.NAME)
    for dashboard in options.dashboards:
        path = f"/api/dashboards/uid/{dashboard['uid']}"
        done += await _gone(client, "dashboard", path, str(dashboard.get("title") or dashboard["uid"]))
    done += await _gone(client, "data source", f"/api/datasources/uid/{DATA_SOURCE}", "IncidentLens")
    if await _folder_is_empty(client):
        done += await _gone(client, "folder", f"/api/folders/{FOLDER_UID}", FOLDER)
    return done


async def _check(client: GrafanaClient, wanted: Resources) -> None:
    """Find every conflict before anything is written."""
    points = {point["name"]: point["uid"] for point in await _list(client, f"{_API}/contact-points")}
    for contact in wanted.contacts:
        if points.get(contact["name"], contact["uid"]) != contact["uid"]:
            raise Conflict(f"there is a contact point {contact['name']!r} already; give ours a --prefix")
    there = await _maybe(client, f"/api/datasources/uid/{DATA_SOURCE}")
    if wanted.data_source is None or there is None:
        return
    if there.get("type") != DATA_SOURCE_TYPE:
        raise Conflict(f"the uid {DATA_SOURCE!r} belongs to a data source of type {there.get('type')!r}; rename it")
    if there.get("readOnly"):
        raise Conflict("the data source comes from Grafana's provisioning files: change those, or --no-data-source")


async def _data_source(client: GrafanaClient, wanted: dict[str, Any]) -> Applied:
    path = f"/api/datasources/uid/{DATA_SOURCE}"
    there = await _maybe(client, path)
    if there is None:
        await client.ask("POST", "/api/datasources", wanted)
        return Applied("data source", "IncidentLens", "made")
    # A secret cannot be read back: one that is given is sent anew, which is the same where it is the same.
    if _agrees({key: value for key, value in wanted.items() if key != "secureJsonData"}, there):
        if "secureJsonData" not in wanted:
            return Applied("data source", "IncidentLens", "unchanged")
        await client.ask("PUT", path, {**wanted, "version": there.get("version")})
        return Applied("data source", "IncidentLens", "unchanged")
    await client.ask("PUT", path, {**wanted, "version": there.get("version")})
    return Applied("data source", "IncidentLens", "changed")


async def _folder(client: GrafanaClient) -> tuple[str, Applied]:
    """The folder's uid: ours, or that of one of the same name (two of a name cannot be in older versions)."""
    if await _maybe(client, f"/api/folders/{FOLDER_UID}") is not None:
        return FOLDER_UID, Applied("folder", FOLDER, "unchanged")
    for folder in await _list(client, "/api/folders"):
        if folder.get("title") == FOLDER:
            return str(folder["uid"]), Applied("folder", FOLDER, "unchanged")
    await client.ask("POST", "/api/folders", {"uid": FOLDER_UID, "title": FOLDER})
    return FOLDER_UID, Applied("folder", FOLDER, "made")


async def _dashboard(client: GrafanaClient, dashboard: dict[str, Any], folder: str) -> Applied:
    name = str(dashboard.get("title") or dashboard["uid"])
    there = await _maybe(client, f"/api/dashboards/uid/{dashboard['uid']}")
    if there is not None and _agrees(dashboard, there["dashboard"]):
        return Applied("dashboard", name, "unchanged")
    body = {"dashboard": dashboard, "folderUid": folder, "overwrite": True, "message": "incidentlens provision"}
    await client.ask("POST", "/api/dashboards/db", body)
    return Applied("dashboard", name, "made" if there is None else "changed")


async def _template(client: GrafanaClient, text: str) -> Applied:
    path = f"{_API}/templates/{messages.NAME}"
    there = await _maybe(client, path)
    if there is not None and str(there.get("template", "")).strip() == text.strip():
        return Applied("message template", messages.NAME, "unchanged")
    body: dict[str, Any] = {"template": text}
    if there is not None and there.get("version"):
        body["version"] = there["version"]
    await client.ask("PUT", path, body, headers=_EDITABLE)
    return Applied("message template", messages.NAME, "made" if there is None else "changed")


async def _contact(client: GrafanaClient, wanted: dict[str, Any]) -> Applied:
    there = next((p for p in await _list(client, f"{_API}/contact-points") if p["uid"] == wanted["uid"]), None)
    if there is None:
        await client.ask("POST", f"{_API}/contact-points", wanted, headers=_EDITABLE)
        return Applied("contact point", wanted["name"], "made")
    # A webhook's address is a secret that Grafana does not show: it is sent anew.
    hidden = {key for key, value in (there.get("settings") or {}).items() if value == _SECRET}
    shown = {**wanted, "settings": {k: v for k, v in wanted["settings"].items() if k not in hidden}}
    agrees = _agrees(shown, there)
    if not agrees or hidden:
        await client.ask("PUT", f"{_API}/contact-points/{wanted['uid']}", wanted, headers=_EDITABLE)
    return Applied("contact point", wanted["name"], "unchanged" if agrees else "changed")


async def _mute(client: GrafanaClient, wanted: dict[str, Any]) -> Applied:
    path = f"{_API}/mute-timings/{NOBODY}"
    there = await _maybe(client, path)
    if there is None:
        await client.ask("POST", f"{_API}/mute-timings", wanted, headers=_EDITABLE)
        return Applied("mute timing", NOBODY, "made")
    if _agrees(wanted, there):
        return Applied("mute timing", NOBODY, "unchanged")
    body = {**wanted, "version": there["version"]} if there.get("version") else wanted
    await client.ask("PUT", path, body, headers=_EDITABLE)
    return Applied("mute timing", NOBODY, "changed")


async def _policy(client: GrafanaClient, route: dict[str, Any] | None) -> list[Applied]:
    """Our branch of the tree put first, changed or taken out; the others stay as they are, in their order."""
    tree = await client.get(f"{_API}/policies")
    routes = list(tree.get("routes") or ())
    mine = [found for found in routes if _is_ours(found)]
    if route is None and not mine:
        return []
    if route is not None and len(mine) == 1 and _agrees(route, mine[0]):
        return [Applied("notification policy", "source=incidentlens", "unchanged")]
    rest = [found for found in routes if not _is_ours(found)]
    changed = {key: value for key, value in tree.items() if key not in ("routes", "provenance")}
    changed["routes"] = [*([route] if route else []), *rest]
    await client.ask("PUT", f"{_API}/policies", changed, headers=_EDITABLE)
    result = "removed" if route is None else "changed" if mine else "made"
    return [Applied("notification policy", "source=incidentlens", result)]


async def _rules(client: GrafanaClient, wanted: Resources, options: Options, folder: str) -> list[Applied]:
    names = {rule["uid"] for rule in wanted.rules}
    done = await _without_rules(client, [uid for uid in RULES if uid not in names])
    known = {rule["uid"]: rule for rule in await _list(client, f"{_API}/alert-rules")}
    for rule in [{**rule, "folderUID": folder} for rule in wanted.rules]:
        path = f"{_API}/alert-rules/{rule['uid']}"
        there = known.get(rule["uid"])
        if there is not None and _agrees(rule, there):
            done.append(Applied("alert rule", rule["title"], "unchanged"))
            continue
        if there is None:
            await client.ask("POST", f"{_API}/alert-rules", rule, headers=_EDITABLE)
        else:
            await client.ask("PUT", path, rule, headers=_EDITABLE)
        done.append(Applied("alert rule", rule["title"], "made" if there is None else "changed"))
    if wanted.rules:
        await _interval(client, folder, int(options.interval.removesuffix("s")))
    return done


async def _without_rules(client: GrafanaClient, uids: Sequence[str]) -> list[Applied]:
    """9.4 answers 500 for a rule that is not there, so they are looked for in the list."""
    done = []
    for rule in await _list(client, f"{_API}/alert-rules"):
        if rule["uid"] in uids:
            await client.ask("DELETE", f"{_API}/alert-rules/{rule['uid']}")
            done.append(Applied("alert rule", rule["title"], "removed"))
    return done


async def _interval(client: GrafanaClient, folder: str, seconds: int) -> None:
    """A rule is made in a group of a minute: the group's interval is set afterwards."""
    path = f"{_API}/folder/{folder}/rule-groups/{GROUP}"
    group = await client.get(path)
    if group.get("interval") != seconds:
        await client.ask("PUT", path, {**group, "interval": seconds}, headers=_EDITABLE)


async def _gone(client: GrafanaClient, kind: str, path: str, name: str) -> list[Applied]:
    if await _maybe(client, path) is None:
        return []
    await client.ask("DELETE", path)
    return [Applied(kind, name, "removed")]


async def _folder_is_empty(client: GrafanaClient) -> bool:
    folder = await _maybe(client, f"/api/folders/{FOLDER_UID}")
    if folder is None:
        return False
    if await client.get("/api/search", {"folderIds": str(folder.get("id", 0)), "limit": "1"}):
        return False
    rules = await client.get(f"/api/ruler/grafana/api/v1/rules/{FOLDER}")
    return not any((rules or {}).values())


async def _list(client: GrafanaClient, path: str) -> list[dict[str, Any]]:
    found = await client.get(path)
    return list(found or ())


async def _maybe(client: GrafanaClient, path: str) -> dict[str, Any] | None:
    """What is there, None where nothing is."""
    try:
        found = await client.get(path)
    except GrafanaNotFound:
        return None
    if not isinstance(found, dict):
        raise GrafanaRefused(f"GET {path} at {client.url}: what answers is not Grafana's API")
    return found


def _is_ours(route: Mapping[str, Any]) -> bool:
    return [*MARK[:1], "=", *MARK[1:]] in [list(matcher) for matcher in route.get("object_matchers") or ()]


def _agrees(wanted: Any, there: Any) -> bool:
    """Whether all that is wanted is there; what Grafana adds of its own does not matter."""
    if isinstance(wanted, dict):
        if not isinstance(there, dict):
            return False
        return all(_agrees(value, there.get(key)) for key, value in wanted.items() if key not in _OWN)
    if isinstance(wanted, list | tuple):
        there = there or []
        return len(wanted) == len(there) and all(map(_agrees, wanted, there))
    if wanted in ("0s", "", False, None) and there in ("0s", "", False, None):
        return True
    return bool(wanted == there)


__all__ = ["Applied", "Conflict", "apply", "grafana_version", "has_own_policies", "remove"]
