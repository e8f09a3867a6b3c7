"""What is to be provisioned, checked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from incidentlens.model.terms import Disposition

MAX_URL = 120  # characters of an address that stands in every message


class OptionsError(ValueError):
    """An option that cannot be used; one line that says what would be right."""


class Routing(StrEnum):
    """How an alert finds its contact point."""

    POLICY = "policy"  # a branch of the notification policy tree
    RULE = "rule"  # each rule names its contact point itself (Grafana 11 and newer): the tree is left alone


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact point: whom a disposition tells. `target` is the webhook's address, or the e-mail addresses."""

    name: str
    uid: str
    kind: str  # discord or email
    disposition: Disposition
    target: str


@dataclass(frozen=True, slots=True)
class Options:
    """`escalate`, `dev`: Discord webhooks; `oncall`: e-mail addresses, separated by commas. Empty ones are left out.

    In files they are usually references to Grafana's environment, such as `$DISCORD_ESCALATE_URL`.
    """

    public_url: str = "http://localhost:8095"  # where people reach IncidentLens's pages
    project: str = ""  # of the data source; empty: the token's own
    loki_uid: str = ""  # Grafana's data source of the logs, for links into Explore
    token: str = ""
    data_source: bool = True
    alerting: bool = True
    escalate: str = ""
    dev: str = ""
    oncall: str = ""
    prefix: str = ""  # before the names of the contact points
    routing: Routing = Routing.POLICY
    interval: str = "10s"  # how often Grafana asks what is open
    version: tuple[int, int] = (9, 4)
    dashboards: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    dashboards_path: str = ""  # where Grafana finds them; empty: beside the written files

    def __post_init__(self) -> None:
        check_url(self.public_url, "--public-url")
        for option, value in (("--discord-escalate", self.escalate), ("--discord-dev", self.dev)):
            if value and not value.startswith("$"):
                check_url(value, option, 500)
        if self.oncall and "@" not in self.oncall and not self.oncall.startswith("$"):
            raise OptionsError(f"--email-oncall takes addresses like oncall@example.com, not {self.oncall!r:.80}")

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The contact points that have somewhere to send to, the heaviest first."""
        every = (
            Contact("discord-escalate", "incidentlens-escalate", "discord", Disposition.ESCALATE, self.escalate),
            Contact("email-oncall", "incidentlens-oncall", "email", Disposition.NEEDS_ONCALL, self.oncall),
            Contact("discord-dev", "incidentlens-dev", "discord", Disposition.NEEDS_DEV, self.dev),
        )
        return tuple(
            Contact(self.prefix + contact.name, contact.uid, contact.kind, contact.disposition, contact.target)
            for contact in every
            if contact.target
        )


def check_url(url: str, option: str, limit: int = MAX_URL) -> None:
    """Raises OptionsError where `url` is no plain http address: it stands in messages between brackets."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or any(c in url for c in " ()<>[]{}$\"'\\\n"):
        raise OptionsError(f"{option} takes an address like https://incidentlens.example.com, not {url!r:.120}")
    if len(url) > limit:
        raise OptionsError(f"{option} has {len(url)} characters; at most {limit}, as it stands in every message")


def load_dashboards(folder: Path) -> tuple[dict[str, Any], ...]:
    """The dashboards of a folder, by file name. Raises OptionsError for one that is none, or has no uid."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            dashboard = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            raise OptionsError(f"{path}: {error}") from error
        if not isinstance(dashboard, dict) or not isinstance(dashboard.get("uid"), str):
            raise OptionsError(f"{path} is no dashboard with a uid of its own")
        found.append({**dashboard, "id": None})
    return tuple(found)


def own_dashboards() -> Path:
    """The dashboards that come with IncidentLens: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "_dashboards"
    return packaged if packaged.is_dir() else package.parents[1] / "dashboards/json"


def version_of(text: str) -> tuple[int, int]:
    """`12.4.2`, `9.4.0-pre` to (12, 4), (9, 4). Raises OptionsError."""
    parts = text.strip().lstrip("v").split(".")
    try:
        return int(parts[0]), int(parts[1]) if len(parts) > 1 else 0
    except ValueError:
        raise OptionsError(f"{text!r:.40} is no version of Grafana; write one like 12.4") from None
