"""The HTTP API as one ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from ..model.clock import Clock, SystemClock
from . import api_index, api_push, api_query, api_rules
from .alerting import AlertSender
from .httpio import JSON_BARE, ApiError, Form, json_response, read_form, text_response
from .limits import Limits
from .ruler import Ruler
from .service import Service
from .tail import tail, tail_query

log = logging.getLogger(__name__)

_UPKEEP_S = 1.0
_NOT_FOUND = "404 page not found\n"

FormHandler = Callable[[Service, str, Form], Response]


class LocalLokiApp(Starlette):
    """The application. `service` is the data behind it; `ruler` its rules; both end with the lifespan."""

    service: Service
    ruler: Ruler
    sender: AlertSender | None


def create_app(
    data_dir: Path | str,
    auth: bool = False,
    clock: Clock | None = None,
    alertmanager_url: str | None = None,
    limits: Limits | None = None,
) -> LocalLokiApp:
    """Build the application over a data folder.

    With `auth` every request must name its tenant in `X-Scope-OrgID`; without it everything belongs to the tenant
    `fake`. Alerts of rules are posted to `alertmanager_url`/api/v2/alerts. The folder is opened at once: raises
    OSError when it cannot be used, RuntimeError when another process uses it.
    """
    limits = limits or Limits()
    service = Service(Path(data_dir), auth=auth, clock=clock or SystemClock(), limits=limits)
    ruler = Ruler(service.rules, lambda tenant, expr, now: api_query.vector(service, tenant, expr, now))
    sender = AlertSender(alertmanager_url) if alertmanager_url else None

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        upkeep = asyncio.create_task(_upkeep(service))
        rules = asyncio.create_task(_evaluate(service, ruler, sender))
        try:
            yield
        finally:
            for task in (upkeep, rules):
                task.cancel()
            await asyncio.gather(upkeep, rules, return_exceptions=True)
            if sender is not None:
                await sender.close()
            await run_in_threadpool(service.close)

    app = LocalLokiApp(routes=_routes(service, ruler), lifespan=lifespan)
    app.service, app.ruler, app.sender = service, ruler, sender
    app.add_exception_handler(ApiError, _refuse)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _broken)
    return app


async def _upkeep(service: Service) -> None:
    while True:
        await asyncio.sleep(_UPKEEP_S)
        try:
            await run_in_threadpool(service.store.maintain)
        except Exception:
            # A full disk must not end the upkeep: it is tried again, and pushes say what is wrong.
            log.exception("local Loki: upkeep failed")


async def _evaluate(service: Service, ruler: Ruler, sender: AlertSender | None) -> None:
    while True:
        await asyncio.sleep(min(_UPKEEP_S, 0.25))
        try:
            sends = await run_in_threadpool(ruler.evaluate_due, service.clock.now())
        except Exception:
            log.exception("local Loki: evaluation of rules failed")
            continue
        if sender is not None:
            for tenant, alerts in sends.items():
                if not await sender.send(tenant, alerts):
                    log.warning("local Loki: alerts were not taken: %s", sender.last_error)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _no_route(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return text_response(404, _NOT_FOUND, nosniff=True)
    return Response(status_code=error.status_code)


async def _broken(_: Request, error: Exception) -> Response:
    return text_response(500, f"internal error: {type(error).__name__}: {error}\n", nosniff=True)


def _routes(service: Service, ruler: Ruler) -> list[BaseRoute]:
    def form_route(path: str, handler: FormHandler, methods: tuple[str, ...] = ("GET", "POST")) -> BaseRoute:
        async def endpoint(request: Request) -> Response:
            tenant = service.tenant(request)
            form = await read_form(request)
            return await run_in_threadpool(handler, service, tenant, form)

        return _route(path, endpoint, methods)

    def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]], methods: tuple[str, ...]) -> BaseRoute:
        async def counted(request: Request) -> Response:
            status = 500
            try:
                answer = await endpoint(request)
                status = answer.status_code
                return answer
            except ApiError as error:
                status = error.status
                raise
            finally:
                service.metrics.requests.labels(request.method, path, status).inc()

        route = Route(path, counted, methods=list(methods))
        # Starlette answers HEAD wherever GET is; Loki does not.
        route.methods = set(methods)
        return route

    async def named_values(request: Request) -> Response:
        tenant = service.tenant(request)
        form = await read_form(request)
        return await run_in_threadpool(api_index.label_values, service, tenant, form, request.path_params["name"])

    async def field_values(request: Request) -> Response:
        tenant = service.tenant(request)
        form = await read_form(request)
        return await run_in_threadpool(api_index.fields_detected, service, tenant, form, request.path_params["name"])

    async def legacy_values(request: Request) -> Response:
        tenant = service.tenant(request)
        form = await read_form(request)
        return await run_in_threadpool(api_index.legacy_labels, service, tenant, form, request.path_params["name"])

    async def push(request: Request) -> Response:
        return await api_push.push(service, request)

    async def push_otlp(request: Request) -> Response:
        return await api_push.push_otlp(service, request)

    async def query(request: Request) -> Response:
        return await api_query.instant(service, request)

    async def query_range(request: Request) -> Response:
        return await api_query.over_range(service, request)

    async def drilldown(request: Request) -> Response:
        service.tenant(request)
        return api_index.drilldown_limits(service.limits)

    async def tail_plain(request: Request) -> Response:
        # Asked without a websocket: the parameters are checked, then the upgrade is missed.
        service.tenant(request)
        tail_query(await read_form(request), service.clock.now())
        raise ApiError(400, "Bad Request", line_feed=True)

    async def tail_socket(socket: WebSocket) -> None:
        await tail(service, socket)

    async def rules(request: Request) -> Response:
        tenant = service.tenant(request)
        namespace, name = request.path_params.get("namespace"), request.path_params.get("name")
        if request.method == "POST":
            assert namespace is not None
            return await api_rules.put_group(service, service.rules, tenant, namespace, request)
        if request.method == "DELETE":
            assert namespace is not None
            return api_rules.delete_rules(service.rules, tenant, namespace, name)
        if namespace is not None and name is not None:
            return api_rules.get_group(service.rules, tenant, namespace, name)
        return api_rules.list_rules(service.rules, tenant, namespace)

    async def prometheus_rules(request: Request) -> Response:
        tenant = service.tenant(request)
        form = await read_form(request)
        return api_rules.prometheus_rules(ruler, tenant, form, service.clock.now())

    async def prometheus_alerts(request: Request) -> Response:
        return api_rules.prometheus_alerts(ruler, service.tenant(request), service.clock.now())

    async def ready(_: Request) -> Response:
        return text_response(200, "ready\n", nosniff=True)

    async def buildinfo(_: Request) -> Response:
        return json_response(api_index.BUILD_INFO, media_type=JSON_BARE)

    async def config(_: Request) -> Response:
        return text_response(200, api_index.config_text(service))

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def flush(_: Request) -> Response:
        await run_in_threadpool(service.store.seal)
        return Response(status_code=204)

    v1 = "/loki/api/v1"
    get = ("GET",)
    routes = [
        _route(f"{v1}/push", push, ("POST",)),
        _route("/api/prom/push", push, ("POST",)),
        _route("/otlp/v1/logs", push_otlp, ("POST",)),
        _route(f"{v1}/query", query, ("GET", "POST")),
        _route(f"{v1}/query_range", query_range, ("GET", "POST")),
        form_route(f"{v1}/format_query", api_query.format_query),
        form_route(f"{v1}/labels", api_index.label_names),
        form_route(f"{v1}/label", api_index.label_names),
        _route(f"{v1}/label/{{name}}/values", named_values, ("GET", "POST")),
        form_route("/api/prom/label", lambda s, t, f: api_index.legacy_labels(s, t, f, None)),
        _route("/api/prom/label/{name}/values", legacy_values, ("GET", "POST")),
        form_route(f"{v1}/series", api_index.series),
        form_route("/api/prom/series", api_index.series),
        form_route(f"{v1}/index/stats", api_index.index_stats),
        form_route(f"{v1}/index/volume", lambda s, t, f: api_index.index_volume(s, t, f, over_range=False)),
        form_route(f"{v1}/index/volume_range", lambda s, t, f: api_index.index_volume(s, t, f, over_range=True)),
        form_route(f"{v1}/detected_labels", api_index.labels_detected),
        form_route(f"{v1}/detected_fields", lambda s, t, f: api_index.fields_detected(s, t, f, None)),
        _route(f"{v1}/detected_field/{{name}}/values", field_values, ("GET", "POST")),
        form_route(f"{v1}/patterns", api_index.patterns),
        _route(f"{v1}/drilldown-limits", drilldown, get),
        _route(f"{v1}/tail", tail_plain, ("GET", "POST")),
        WebSocketRoute(f"{v1}/tail", tail_socket),
        _route("/prometheus/api/v1/rules", prometheus_rules, get),
        _route("/prometheus/api/v1/alerts", prometheus_alerts, get),
        _route("/ready", ready, get),
        _route(f"{v1}/status/buildinfo", buildinfo, get),
        _route("/config", config, get),
        _route("/metrics", metrics, get),
        _route("/flush", flush, ("GET", "POST")),
    ]
    for base in (f"{v1}/rules", "/api/prom/rules"):
        routes.append(_route(base, rules, get))
        routes.append(_route(f"{base}/{{namespace}}", rules, ("GET", "POST", "DELETE")))
        routes.append(_route(f"{base}/{{namespace}}/{{name}}", rules, ("GET", "DELETE")))
    return routes
