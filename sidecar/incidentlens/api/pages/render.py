"""Rendering: one Jinja environment that escapes everything, and what every page shows around its matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request, Response
from fastapi.responses import HTMLResponse

from incidentlens import __version__
from incidentlens.api.auth import Principal, authenticate, services_of
from incidentlens.api.errors import ApiError
from incidentlens.api.seams import Services
from incidentlens.model.times import utc

from . import charts, text
from .markdown import rendered

FOLDER = Path(__file__).parents[1]

STATUS_NAMES = {
    "open": "open", "verifying": "verifying", "resolved": "resolved", "closed": "closed", "ignored": "ignored",
    "suppressed": "suppressed",
}  # fmt: skip
DISPOSITION_NAMES = {
    "ESCALATE": "Escalate", "NEEDS_ONCALL": "On-call", "NEEDS_DEV": "Dev", "OBSERVE": "Observe",
    "NO_ACTION": "No action",
}  # fmt: skip
OUTCOME_NAMES = {
    "resolved": "resolved", "still_firing": "still firing", "re_escalated": "re-escalated",
    "inconclusive": "inconclusive",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page: who asks, and how its links lead on within the project."""

    request: Request
    services: Services
    principal: Principal
    now: int

    def link(self, path: str, **query: Any) -> str:
        """A path with its query; the project is in it where the asker may see several."""
        pairs: list[tuple[str, str]] = []
        for name, value in query.items():
            values = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, str(each)) for each in values if each not in (None, "")]
        if self.project_in_links:
            pairs.append(("project", self.principal.project.name))
        return f"{path}?{urlencode(pairs)}" if pairs else path

    @property
    def project_in_links(self) -> str | None:
        """The project's name where it must be said in links and forms."""
        return self.principal.project.name if len(self.projects) > 1 else None

    @property
    def projects(self) -> list[str]:
        """The projects the asker may choose from."""
        loaded = self.services.loaded
        if loaded.config.server.require_token:
            return [self.principal.project.name]
        return list(loaded.projects)

    @property
    def trouble(self) -> str | None:
        """Why the pages may be behind; None where all is well."""
        runner = self.services.sidecar.runners.get(self.principal.project.name)
        if runner is None or runner.health.error is None:
            return None
        since = f" since {utc(runner.health.failing_since)}" if runner.health.failing_since else ""
        return f"Reading fails{since}: {runner.health.error}"

    @property
    def put_aside(self) -> int:
        """Records that made a stage raise since the process began."""
        runner = self.services.sidecar.runners.get(self.principal.project.name)
        return 0 if runner is None else runner.health.quarantined


def visit(request: Request, project: str | None = None) -> Visit:
    """A dependency of every page. Raises ApiError 401, which leads to the login page."""
    services = services_of(request)
    principal = authenticate(request, project or None)
    return Visit(request, services, principal, services.clock.now())


def page(name: str, asked: Visit, status: int = 200, **values: Any) -> HTMLResponse:
    """The page as a response."""
    body = (
        _environment()
        .get_template(name)
        .render(
            visit=asked,
            link=asked.link,
            now=asked.now,
            project=asked.principal.project,
            may_write=asked.principal.may_write,
            signed_in=asked.principal.token,
            **values,
        )
    )
    return _html(body, status)


def bare_page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page for somebody who is not known."""
    return _html(_environment().get_template(template).render(visit=None, **values), status)


def error_page(
    request: Request, status: int, title: str, said: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error for a person, with a way back."""
    asked: Visit | None
    try:
        asked = visit(request, request.query_params.get("project"))
    except (ApiError, AttributeError):
        asked = None
    values = {"title": title, "said": said, "code": status}
    response = (
        bare_page("error.html.j2", status, **values)
        if asked is None
        else page("error.html.j2", asked, status, **values)
    )
    response.headers.update(headers or {})
    return response


def _html(body: str, status: int) -> HTMLResponse:
    return HTMLResponse(body.encode("utf-8", "replace"), status)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        finalize=text.shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "markdown": rendered,
        "log": text.log_text,
        "template": text.template_text,
        "prose": text.prose,
        "when": text.when,
        "age": text.age,
        "clock": text.clock_time,
        "lasting": text.length,
        "number": text.number,
        "percent": text.percent,
        "rate": text.rate,
        "segment": lambda value: quote(str(value), safe=""),
    }
    environment.globals |= {
        "spark": charts.spark,
        "opened_chart": charts.opened,
        "series_chart": charts.series,
        "watch_chart": charts.watch,
        "status_names": STATUS_NAMES,
        "disposition_names": DISPOSITION_NAMES,
        "outcome_names": OUTCOME_NAMES,
        "version": __version__,
        "static": _static,
    }
    return environment


@cache
def _static(name: str) -> str:
    """The address of a static file, with its content's digest: a browser keeps it until it changes."""
    digest = sha256((FOLDER / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
