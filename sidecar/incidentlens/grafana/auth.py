"""Who asks through Grafana: the data source's secure token decides the project, the person's role what may be changed.

Grafana sends both with every call, and whoever reaches the port may send anything: only the token proves something.
So a role can take rights away from a token, and never add any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from incidentlens.config.loader import Loaded, Project
from incidentlens.config.model import Role

from .pb.pluginv2_pb2 import DataSourceInstanceSettings, PluginContext

IN_SCOPE = "incidentlens.asker"
"""The key of an ASGI scope under which the API finds an Asker."""

_WRITERS = ("Editor", "Admin")
_MAX_SETTINGS = 64 * 1024
_MAX_LOGIN = 80


class Refused(Exception):
    """The call is not answered; its status as in HTTP, and one sentence that says what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Asker:
    """A project through a data source. `name` is kept with whatever is changed."""

    project: Project
    role: Role
    name: str


def asker_of(loaded: Loaded, context: PluginContext) -> Asker:
    """Raises Refused 401 without a known token, 403 for another project's, 404 for a project that is not there."""
    if not context.HasField("dataSourceInstanceSettings"):
        raise Refused(401, "this call comes from no data source; add one of type IncidentLens and ask through it")
    settings = context.dataSourceInstanceSettings
    wanted = _project(settings)
    login = _login(context)
    writes = context.user.role in _WRITERS  # absent for alert rules
    if not loaded.config.server.require_token:
        name = wanted or next(iter(loaded.projects))
        if name not in loaded.projects:
            raise Refused(
                404, f"there is no project {name!r:.80}; the data source may name {', '.join(loaded.projects)}"
            )
        return Asker(loaded.projects[name], Role.EDITOR if writes else Role.VIEWER, f"{login} in Grafana")
    presented = settings.decryptedSecureJsonData.get("token", "").strip()
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
    return Asker(loaded.projects[token.project], role, f"{login} in Grafana, token {token.name}")


def _project(settings: DataSourceInstanceSettings) -> str | None:
    """The project that the settings name. Raises Refused 400 for settings that are no JSON object."""
    if not settings.jsonData:
        return None
    if len(settings.jsonData) > _MAX_SETTINGS:
        raise Refused(400, "the data source's settings are too large; save them anew")
    try:
        data: Any = orjson.loads(settings.jsonData)
    except orjson.JSONDecodeError:
        raise Refused(400, "the data source's settings are no JSON; save them anew") from None
    named = data.get("project") if isinstance(data, dict) else None
    return named.strip() or None if isinstance(named, str) else None


def _login(context: PluginContext) -> str:
    login = " ".join(context.user.login.split())[:_MAX_LOGIN]
    return login or "somebody"
