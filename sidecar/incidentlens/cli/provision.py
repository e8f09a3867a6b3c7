"""`incidentlens provision`: everything a Grafana needs, as files or applied to a running one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .console import answer, fail, print_json, talk, unusable

if TYPE_CHECKING:
    from incidentlens.provision import Applied, Options
    from incidentlens.publish.grafana_http import GrafanaClient


def register(app: typer.Typer) -> None:
    app.command("provision")(provision)


def provision(
    out: Path | None = typer.Option(None, "--out", help="Write files for Grafana's provisioning folder here."),
    grafana: str | None = typer.Option(None, "--grafana", help="Apply it to this Grafana: http://localhost:3000."),
    token: str = typer.Option(
        "", "--token", envvar="GRAFANA_TOKEN", help="A service account's, with the role Admin (data sources need it)."
    ),
    user: str = typer.Option("", "--user", envvar="GRAFANA_USER", help="Instead of a token: an administrator's name."),
    password: str = typer.Option("", "--password", envvar="GRAFANA_PASSWORD", help="And password."),
    make_token: Path | None = typer.Option(
        None,
        "--make-token",
        help="Only make the service account under which IncidentLens writes to this Grafana, and put its token here.",
    ),
    remove: bool = typer.Option(False, "--remove", help="Take away all that was made, and nothing else."),
    public_url: str = typer.Option(
        "http://localhost:8095", "--public-url", help="Where people reach IncidentLens's pages, for links."
    ),
    project: str = typer.Option("", "--project", help="The data source's project; its token's unless said."),
    project_token: str = typer.Option(
        "", "--project-token", envvar="INCIDENTLENS_TOKEN", help="The project's token, for the data source."
    ),
    loki_uid: str = typer.Option(
        "", "--loki-uid", help="The uid of Grafana's Loki data source, for links from evidence into Explore."
    ),
    discord_escalate: str = typer.Option(
        "", "--discord-escalate", envvar="DISCORD_ESCALATE_URL", help="Discord webhook told of ESCALATE."
    ),
    discord_dev: str = typer.Option(
        "", "--discord-dev", envvar="DISCORD_DEV_URL", help="Discord webhook told of NEEDS_DEV."
    ),
    email_oncall: str = typer.Option(
        "", "--email-oncall", envvar="ONCALL_EMAIL", help="Addresses told of NEEDS_ONCALL, separated by commas."
    ),
    prefix: str = typer.Option("", "--prefix", help="Before the names of the contact points."),
    routing: str = typer.Option(
        "auto",
        "--routing",
        help="policy: a branch of the notification policy tree; rule: each rule names its contact point (Grafana 11 "
        "and newer); auto: rule where there is a tree already and Grafana can.",
    ),
    grafana_version: str = typer.Option("9.4", "--grafana-version", help="For --out: the oldest that shall read it."),
    interval: int = typer.Option(10, "--interval", min=10, max=3600, help="Seconds between two looks; 10 s steps."),
    dashboards: Path | None = typer.Option(None, "--dashboards", help="Folder of dashboards; ours unless said."),
    dashboards_path: str = typer.Option(
        "", "--dashboards-path", help="For --out: where Grafana finds the dashboards, instead of copies beside it."
    ),
    no_alerting: bool = typer.Option(False, "--no-alerting", help="Data source and dashboards only."),
    no_data_source: bool = typer.Option(False, "--no-data-source", help="Alerting and dashboards only."),
    as_json: bool = typer.Option(False, "--json", help="What was done, as JSON."),
) -> None:
    """Write or apply the data source, the alerting and the dashboards. Doing it twice changes nothing."""
    from incidentlens.provision import Options, OptionsError, Routing
    from incidentlens.provision.options import load_dashboards, own_dashboards, version_of

    if (out is None) == (grafana is None):
        unusable("give either --out DIR or --grafana URL")
    if routing not in ("auto", "policy", "rule"):
        unusable(f"--routing takes auto, policy or rule, not {routing!r}")
    if interval % 10:
        unusable(f"--interval takes a multiple of 10 seconds, as Grafana does; not {interval}")
    try:
        version = version_of(grafana_version)
        if routing == "rule" and out is not None and version < (11, 0):
            unusable("--routing rule needs Grafana 11 or newer: say so with --grafana-version 11.0")
        options = Options(
            public_url=public_url,
            project=project,
            token=project_token,
            loki_uid=loki_uid,
            data_source=not no_data_source,
            alerting=not no_alerting,
            escalate=discord_escalate,
            dev=discord_dev,
            oncall=email_oncall,
            prefix=prefix,
            routing=Routing.RULE if routing == "rule" else Routing.POLICY,
            interval=f"{interval}s",
            version=version,
            dashboards=load_dashboards(dashboards or own_dashboards()),
            dashboards_path=dashboards_path,
        )
    except OptionsError as error:
        unusable(str(error))
    if out is not None:
        _write(out, options, remove, as_json)
        return
    login = Login(grafana or "", token, (user, password) if user else None)
    if make_token is not None:
        made = asyncio.run(_make_token(login, make_token))
        talk.print(f"{make_token} {'has a new token' if made else 'still works'}", markup=False)
        return
    done = asyncio.run(_apply(login, options, remove, routing))
    if as_json:
        print_json([{"kind": item.kind, "name": item.name, "result": item.result} for item in done])
        return
    for item in done:
        answer.print(f"{item.result:10} {item.kind:20} {item.name}", markup=False)
    if not done:
        talk.print("nothing of ours is there")


def _write(out: Path, options: Options, remove: bool, as_json: bool) -> None:
    from incidentlens.provision import removal_files, write

    if remove:
        paths = removal_files(out)
    else:
        # In files a secret is a reference to Grafana's own environment.
        options = replace(
            options,
            token="$INCIDENTLENS_TOKEN",  # noqa: S106
            escalate="$DISCORD_ESCALATE_URL",
            dev="$DISCORD_DEV_URL",
            oncall="$ONCALL_EMAIL",
        )
        paths = write(out, options)
    if as_json:
        print_json([str(path) for path in paths])
        return
    for path in paths:
        answer.print(str(path), markup=False)
    if remove:
        talk.print("Grafana removes it all when it reads these files, at its next start; delete them afterwards")
    elif options.alerting:
        talk.print(
            "Grafana needs INCIDENTLENS_TOKEN, DISCORD_ESCALATE_URL, DISCORD_DEV_URL and ONCALL_EMAIL in its "
            "environment: an empty one keeps it from starting"
        )


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach a Grafana as an administrator."""

    url: str
    token: str = field(repr=False)
    basic: tuple[str, str] | None = field(repr=False)

    def client(self) -> GrafanaClient:
        from incidentlens.publish.grafana_http import GrafanaClient

        return GrafanaClient(self.url, self.token, basic=self.basic, timeout_s=30)


async def _make_token(login: Login, path: Path) -> bool:
    from incidentlens.provision.service_account import make_token
    from incidentlens.publish.grafana_http import GrafanaError

    client = login.client()
    try:
        return await make_token(client, path)
    except GrafanaError as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    finally:
        await client.close()


async def _apply(login: Login, options: Options, remove: bool, routing: str) -> list[Applied]:
    from incidentlens.provision import Conflict, Routing
    from incidentlens.provision import apply as apply_all
    from incidentlens.provision import remove as remove_all
    from incidentlens.provision.apply import grafana_version, has_own_policies
    from incidentlens.publish.grafana_http import GrafanaError

    client = login.client()
    try:
        version = await grafana_version(client)
        options = replace(options, version=version)
        if remove:
            return await remove_all(client, options)
        if routing == "rule" and version < (11, 0):
            unusable(f"--routing rule needs Grafana 11 or newer; this one is {version[0]}.{version[1]}")
        if routing == "auto" and options.alerting and version >= (11, 0) and await has_own_policies(client):
            options = replace(options, routing=Routing.RULE)
        if options.alerting and not options.contacts:
            talk.print("note: no contact point is given (--discord-escalate, --discord-dev, --email-oncall)")
        return await apply_all(client, options)
    except (GrafanaError, Conflict) as error:
        fail(str(error))
    finally:
        await client.close()
