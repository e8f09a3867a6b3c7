"""Who asks, and for which project. Every read and write of a route goes through a Principal's project alone."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPBearer

from incidentlens.config.loader import Project
from incidentlens.config.model import Role
from incidentlens.grafana.auth import IN_SCOPE, Asker

from .errors import ApiError
from .seams import Services

COOKIE = "incidentlens_token"
LOCAL_NAME = "somebody at this machine"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a token's name, or whoever sits at a machine without tokens."""

    project: Project
    role: Role
    name: str
    token: bool
    only_reads: str = ""  # why, where the token's role alone does not say it

    @property
    def may_write(self) -> bool:
        return self.role is Role.EDITOR

    def signed(self, by: str | None) -> str:
        """The name to keep with a change: the person that the sender names, and through which token."""
        named = " ".join((by or "").split())[:100]
        if not named:
            return self.name
        return f"{named} ({self.name})" if self.token else named


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def presented(request: Request) -> str | None:
    """The token of a bearer header, of basic authentication's password, or of the cookie."""
    header = request.headers.get("authorization")
    if header is not None:
        scheme, _, value = header.partition(" ")
        value = value.strip()
        if scheme.lower() == "bearer":
            return value
        if scheme.lower() == "basic":
            try:
                return base64.b64decode(value, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return ""
        return ""
    cookie = request.cookies.get(COOKIE)
    return None if cookie is None else from_cookie(cookie)


def to_cookie(token: str) -> str:
    """A token may hold what a cookie may not."""
    return base64.urlsafe_b64encode(token.encode()).rstrip(b"=").decode()


def from_cookie(value: str) -> str:
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def authenticate(request: Request, project: str | None) -> Principal:
    """Raises ApiError 401 without a token or with a wrong one, 403 or 404 for a project that is not the asker's."""
    loaded = services_of(request).loaded
    wanted = project or None
    asker: Asker | None = request.scope.get(IN_SCOPE)  # through Grafana; no request over the network can hold one
    if asker is not None:
        if wanted not in (None, asker.project.name):
            raise ApiError(403, f"this data source is not for project {wanted!r:.80}; leave ?project= out")
        return Principal(asker.project, asker.role, asker.name, token=True, only_reads=asker.only_reads)
    if not loaded.config.server.require_token:
        name = wanted or next(iter(loaded.projects))
        if name not in loaded.projects:
            raise ApiError(404, f"there is no project {name[:80]!r}; there are {', '.join(loaded.projects)}")
        return Principal(loaded.projects[name], Role.EDITOR, LOCAL_NAME, token=False)
    challenge = {"WWW-Authenticate": 'Bearer realm="incidentlens"'}
    given = presented(request)
    if given is None:
        raise ApiError(401, "send a project's token: Authorization: Bearer <token>", challenge)
    if (token := loaded.token_of(given)) is None:
        raise ApiError(401, "this token is not known; take one of the project's tokens", challenge)
    if wanted is not None and (token := loaded.token_of(given, wanted)) is None:
        raise ApiError(
            403, f"this token is not for project {wanted[:80]!r}; leave ?project= out, or take its own token"
        )
    return Principal(loaded.projects[token.project], token.role, token.name, token=True)


_bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="token",
    description="A token of the project (`projects.<name>.tokens`). Not needed where `server.require_token` is false.",
)
ProjectName = Annotated[
    str | None,
    Query(max_length=80, description="The project. With tokens it follows from the token and may be left out."),
]


def reader(request: Request, _: Annotated[object, Depends(_bearer)], project: ProjectName = None) -> Principal:
    """Anyone of the project."""
    return authenticate(request, project)


def editor(request: Request, _: Annotated[object, Depends(_bearer)], project: ProjectName = None) -> Principal:
    """An editor of the project."""
    principal = authenticate(request, project)
    require_editor(principal)
    return principal


def require_editor(principal: Principal) -> None:
    if not principal.may_write:
        text = f"the token {principal.name!r} may only read; take one with role: editor to change anything"
        raise ApiError(403, principal.only_reads or text)


Reader = Annotated[Principal, Depends(reader)]
Editor = Annotated[Principal, Depends(editor)]
Serving = Annotated[Services, Depends(services_of)]
