"""The demo's Grafana: configured in the demo's folder, filled by what `incidentlens provision` does."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import webbrowser
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from incidentlens.provision import Applied, Options, apply
from incidentlens.provision.apply import grafana_version
from incidentlens.provision.options import load_dashboards, own_dashboards
from incidentlens.provision.resources import DATA_SOURCE_TYPE
from incidentlens.provision.service_account import make_token
from incidentlens.publish.grafana_http import GrafanaClient, GrafanaError

from .children import Child
from .ports import free_port
from .programs import GrafanaProgram
from .standins import ONCALL, StandIns

PORT = 3000
OVERVIEW = "incidentlens-overview"
LOKI_UID = "loki"
_START_WAIT_S = 120.0  # a first start makes its whole database


@dataclass(frozen=True, slots=True)
class RunningGrafana:
    """A Grafana that answers, nothing of ours in it yet but the plugin."""

    url: str
    password: str = field(repr=False)  # of its user `admin`
    token_file: Path  # of the service account under which the sidecar writes to it
    child: Child
    dashboards: tuple[dict[str, object], ...] = field(repr=False)

    @property
    def overview(self) -> str:
        """The page to begin with."""
        there = any(dashboard["uid"] == OVERVIEW for dashboard in self.dashboards)
        return f"{self.url}/d/{OVERVIEW}" if there else f"{self.url}/alerting/list"

    def client(self) -> GrafanaClient:
        """As its administrator."""
        return GrafanaClient(self.url, basic=("admin", self.password), timeout_s=30)


async def start(
    program: GrafanaProgram, folder: Path, answered_at: str, loki_url: str, tenant: str | None, sent_to: StandIns
) -> RunningGrafana:
    """Start it with its data below `folder`, its plugin asking `answered_at` (host:port). Raises DemoError."""
    port = free_port(PORT)
    own = folder / "grafana"
    shutil.rmtree(own, ignore_errors=True)  # of a demo before that was kept: its password is not known any more
    for name in ("data", "logs", "provisioning/datasources", "provisioning/dashboards", "provisioning/plugins",
                 "provisioning/notifiers", "provisioning/alerting", "provisioning/access-control"):  # fmt: skip
        (own / name).mkdir(parents=True)
    shutil.copytree(program.plugin, own / "plugins" / DATA_SOURCE_TYPE)
    password = secrets.token_urlsafe(12)
    settings = own / "grafana.ini"
    settings.touch(0o600)
    settings.write_text(configuration(own, port, password, answered_at, sent_to.mail_port), "utf-8")
    source = own / "provisioning" / "datasources" / "loki.yaml"
    source.write_text(yaml.safe_dump(loki_source(loki_url, tenant), sort_keys=False), "utf-8")
    # Grafana takes settings from GF_… too: those of another Grafana on this machine are not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GF_")}
    command = program.command(settings)
    child = await Child.start("Grafana", command, own / "grafana.log", folder=program.home, environment=environment)
    running = RunningGrafana(
        f"http://127.0.0.1:{port}", password, own / "token", child, load_dashboards(own_dashboards())
    )
    client = running.client()

    async def well() -> bool:
        try:
            health = await client.get("/api/health")
        except GrafanaError:
            return False
        return isinstance(health, dict) and health.get("database") == "ok"

    try:
        await child.answers(well, _START_WAIT_S)
        await make_token(client, running.token_file)
    except BaseException:
        await child.stop()
        raise
    finally:
        await client.close()
    return running


def configuration(own: Path, port: int, password: str, answered_at: str, mail_port: int) -> str:
    """grafana.ini: loopback only, nothing asked of grafana.com, visitors may look, mail to the stand-in."""
    return f"""# The demo's Grafana, for as long as the demo runs.
[paths]
data = {own / "data"}
logs = {own / "logs"}
plugins = {own / "plugins"}
provisioning = {own / "provisioning"}
[server]
protocol = http
http_addr = 127.0.0.1
http_port = {port}
root_url = http://127.0.0.1:{port}/
[security]
admin_user = admin
admin_password = {password}
secret_key = {secrets.token_urlsafe(24)}
disable_gravatar = true
[users]
allow_sign_up = false
viewers_can_edit = true
[auth.anonymous]
enabled = true
org_role = Viewer
[plugins]
allow_loading_unsigned_plugins = {DATA_SOURCE_TYPE}
plugin_admin_enabled = false
preinstall_disabled = true
[plugin.{DATA_SOURCE_TYPE}]
address = {answered_at}
[smtp]
enabled = true
host = 127.0.0.1:{mail_port}
from_address = grafana@example.com
startTLS_policy = NoStartTLS
[unified_alerting]
enabled = true
admin_config_poll_interval = 5s
alertmanager_config_poll_interval = 5s
[alerting]
enabled = false
[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
[news]
news_feed_enabled = false
[snapshots]
external_enabled = false
[log]
mode = console
level = warn
"""


def loki_source(url: str, tenant: str | None) -> dict[str, object]:
    """The logs themselves, for Explore."""
    source: dict[str, object] = {
        "name": "Loki", "type": "loki", "uid": LOKI_UID, "access": "proxy", "orgId": 1, "url": url, "editable": False,
    }  # fmt: skip
    if tenant:
        source["jsonData"] = {"httpHeaderName1": "X-Scope-OrgID"}
        source["secureJsonData"] = {"httpHeaderValue1": tenant}
    return {"apiVersion": 1, "datasources": [source]}


async def fill(grafana: RunningGrafana, project: str, public_url: str, sent_to: StandIns) -> list[Applied]:
    """Make all that `incidentlens provision --grafana` makes. Raises GrafanaError, Conflict."""
    client = grafana.client()
    try:
        options = Options(
            public_url=public_url,
            project=project,
            loki_uid=LOKI_UID,
            escalate=sent_to.webhook("discord-escalate"),
            dev=sent_to.webhook("discord-dev"),
            oncall=ONCALL,
            version=await grafana_version(client),
            dashboards=grafana.dashboards,
        )
        return await apply(client, options)
    finally:
        await client.close()


def open_page(url: str) -> bool:
    """Show a page where there is a screen with a browser; whether there is one. A browser in the terminal is none."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        return webbrowser.open(url)
    except webbrowser.Error:
        return False
