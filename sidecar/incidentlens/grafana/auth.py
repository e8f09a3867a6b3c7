"""Who asks through Grafana: the data source's secure token decides the project, the person's role what may be changed.

Grafana sends both with every call, and whoever reaches the port may send anything: only the token proves something.
So a role can take rights away from a token, and never add any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import re2

from incidentlens.config.loader import Loaded, Project
from incidentlens.config.model import Role

from .pb.pluginv2_pb2 import PluginContext

IN_SCOPE = "incidentlens.asker"
"""The key of an ASGI scope under which the API finds an Asker."""

_WRITERS = ("Editor", "Admin")
_A_VIEWER = "in Grafana only the roles Editor and Admin may change anything here; ask for one"
_READS_ONLY = "the data source's token {!r} may only read; give the data source one with role: editor"
_MAX_SETTINGS = 64 * 1024
_MAX_LOGIN = 80


class Refused(Exception):
    """The call is not answered; its status as in HTTP, and one sentence that says what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Settings:
    """What a data source's settings say; anybody may read them, so they prove nothing."""

    project: str | None = None
    loki_uid: str = ""  # of the data source of the logs, for links into Explore
    incident_dashboard: str = ""  # uid
    uid: str = ""  # its own


@dataclass(frozen=True, slots=True)
class Asker:
    """A project through a data source. `name` is kept with whatever is changed."""

    project: Project
    role: Role
    name: str
    settings: Settings = Settings()
    only_reads: str = ""  # why, where it does


def asker_of(loaded: Loaded, context: PluginContext) -> Asker:
    """Raises Refused 401 without a known token, 403 for another project's, 404 for a project that is not there."""
    if not context.HasField("dataSourceInstanceSettings"):
        raise Refused(401, "this call comes from no data source; add one of type IncidentLens and ask through it")
    settings = settings_of(context)
    wanted = settings.project
    login = _login(context)
    writes = context.user.role in _WRITERS  # absent for alert rules
    if not loaded.config.server.require_token:
        name = wanted or next(iter(loaded.projects))
        if name not in loaded.projects:
            raise Refused(
                404, f"there is no project {name!r:.80}; the data source may name {', '.join(loaded.projects)}"
            )
        role = Role.EDITOR if writes else Role.VIEWER
        return Asker(loaded.projects[name], role, f"{login} in Grafana", settings, "" if writes else _A_VIEWER)
    presented = context.dataSourceInstanceSettings.decryptedSecureJsonData.get("token", "").strip()
    if not presented:
        raise Refused(401, "the data source has no token; enter one of the project's tokens in its settings")
    token = loaded.token_of(presented)
    if token is None:
        raise Refused(401, "the data source's token is not known; enter one of the project's tokens in its settings")
    if wanted is not None and (token := loaded.token_of(presented, wanted)) is None:
        raise Refused(
            403, f"the data source's token is not for project {wanted!r:.80}; name the token's own project, or none"
        )
    role = Role.EDITOR if writes and token.role is Role.EDITOR else Role.VIEWER
    reason = "" if role is Role.EDITOR else _READS_ONLY.format(token.name) if writes else _A_VIEWER
    return Asker(loaded.projects[token.project], role, f"{login} in Grafana, token {token.name}", settings, reason)


def settings_of(context: PluginContext) -> Settings:
    """What the data source's settings say. Raises Refused 400 for settings that are no JSON object."""
    raw = context.dataSourceInstanceSettings.jsonData
    uid = _uid(context.dataSourceInstanceSettings.uid)
    if not raw:
        return Settings(uid=uid)
    if len(raw) > _MAX_SETTINGS:
        raise Refused(400, "the data source's settings are too large; save them anew")
    try:
        data: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        data = None
    if not isinstance(data, dict):
        raise Refused(400, "the data source's settings are no JSON object; save them anew")
    project = data.get("project")
    return Settings(
        project=project.strip() or None if isinstance(project, str) else None,
        loki_uid=_uid(data.get("lokiUid")),
        incident_dashboard=_uid(data.get("incidentDashboard")),
        uid=uid,
    )


def _uid(value: Any) -> str:
    """A uid of Grafana's, or none."""
    return value if isinstance(value, str) and re2.fullmatch(r"[A-Za-z0-9_-]{1,40}", value) else ""


def _login(context: PluginContext) -> str:
    login = " ".join(context.user.login.split())[:_MAX_LOGIN]
    return login or "somebody"
