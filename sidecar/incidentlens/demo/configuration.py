"""The demo's incidentlens.yaml: a real one, read by the real loader, so that it can be kept and gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .stack import Stack

PROJECT = "shop"


@dataclass(frozen=True, slots=True)
class Told:
    """A Grafana that tells people, and is written back to."""

    url: str
    token_file: Path
    dashboards: Sequence[str]  # uids


def write(
    stack: Stack, tenant: str | None, quiet_seconds: float, look_back_minutes: float, told: Told | None = None
) -> Path:
    """Write the file and return it. The database's address goes into a file of its own, as a secret should.

    Without a Grafana that tells anybody the mode is `shadow`: everything is decided and shown, nothing is sent.
    """
    secret = stack.folder / "database-url"
    secret.write_text(stack.database_url + "\n", "utf-8")
    secret.chmod(0o600)
    path = stack.folder / "incidentlens.yaml"
    path.write_text(
        f"""# The demo's configuration. `incidentlens demo --keep` leaves it here to go on with.
version: 1
loki:
  url: "{stack.loki_url}"
store:
  url_file: database-url
server:
  listen: "127.0.0.1:{stack.web_port}"
  public_url: "http://127.0.0.1:{stack.web_port}"
  require_token: false
grafana:
  listen: "127.0.0.1:{stack.grafana_port}"
{_publish(told)}projects:
  {PROJECT}:
{f'    tenant: "{tenant}"' if tenant else "    # no tenant: this Loki has none"}
    service_label: service_name
    interval: 2s
    delay: 1s
    overlap: 20s
    window: 2m
    look_back: {round(look_back_minutes)}m
    queries:
      - name: shop
        logql: '{{env="shop"}}'
    criticality:
      checkout: 1.5
      payment: 1.5
    owners:
      orders: team-orders
      payment: team-payments
      session: team-identity
      inventory: team-stock
      catalogue: team-catalogue
    policy:
      mode: {"live" if told else "shadow"}
      # A real project waits for minutes; a demo has seconds.
      quiet_minutes: {quiet_seconds / 60:.3f}
      max_quiet_minutes: {quiet_seconds / 60:.3f}
""",
        "utf-8",
    )
    return path


def _publish(told: Told | None) -> str:
    if told is None:
        return ""
    return f"""publish:
  loki_events: true
  grafana:
    url: "{told.url}"
    token_file: "{told.token_file}"
    dashboards: [{", ".join(told.dashboards)}]
"""
