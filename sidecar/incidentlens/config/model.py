"""What incidentlens.yaml may say. Unknown keys are refused; every default is what a first day wants."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from incidentlens.detection.groups import OWN, check
from incidentlens.model.signatures import SignatureRules
from incidentlens.model.terms import Disposition
from incidentlens.policy.model import Policy

from .language_model import LanguageModelConfig
from .section import Section
from .types import Duration, at_least, file_or_value


class Role(StrEnum):
    """What a token may do: a viewer reads; an editor also closes, ignores, re-opens and gives feedback."""

    VIEWER = "viewer"
    EDITOR = "editor"


def _tenant(value: str) -> str:
    if "|" in value:
        raise ValueError("a project reads one Loki tenant; `a|b` is refused")
    if len(value.encode()) > 150:
        raise ValueError("a Loki tenant id has at most 150 bytes")
    return value


Tenant = Annotated[str, AfterValidator(_tenant)]


class LokiConfig(Section):
    """Where Loki is and how to speak to it."""

    url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:3100")
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    bearer_token: SecretStr | None = None
    bearer_token_file: Path | None = None
    timeout: Annotated[Duration, at_least("1ms")] = 30 * 10**9
    page_limit: int = Field(default=5000, ge=10, le=100_000)
    max_attempts: int = Field(default=5, ge=1, le=20)
    max_response_mb: int = Field(default=128, ge=1)

    @model_validator(mode="after")
    def _one_way_to_log_in(self) -> LokiConfig:
        basic = self.username is not None
        bearer = self.bearer_token is not None or self.bearer_token_file is not None
        if basic and bearer:
            raise ValueError("give either username and password, or a bearer_token, not both")
        if basic and self.password is None and self.password_file is None:
            raise ValueError("username needs password or password_file")
        return self


class WrittenGrafanaConfig(Section):
    """The Grafana that incidents are written back to, and what is drawn there."""

    url: AnyHttpUrl
    token: SecretStr | None = None  # of a service account with the role Editor
    token_file: Path | None = None
    dashboards: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")], ...] = Field(default=(), max_length=20)
    organisation_wide: bool = True  # one more region, for any dashboard whose annotation query asks for the tag
    least: Disposition = Disposition.NEEDS_DEV  # lighter incidents are not drawn: many regions hide a panel's data
    max_annotations: int = Field(default=300, ge=1, le=5000)  # incidents shown at a time, the latest
    max_age: Duration = Field(default=30 * 86400 * 10**9, ge=60 * 10**9)  # then the region is taken away
    read_back: bool = True  # ask whether the alert fired and what the contact point's last attempt said
    timeout: Annotated[Duration, at_least("1ms")] = 10 * 10**9

    @model_validator(mode="after")
    def _has_a_token(self) -> WrittenGrafanaConfig:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("give exactly one of token and token_file: a service account's, with the role Editor")
        return self


class QueryConfig(Section):
    """One named LogQL query. A log query feeds records in; a metric query raises an alert above `above`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    logql: str = Field(min_length=2)
    above: float | None = None  # metric queries only: each series above it starts an investigation
    read: Literal["auto", "full", "push_down"] = "auto"  # log queries only: see PushDownConfig
    keep_own_streams: bool = False  # IncidentLens's and Loki's own streams are left out unless this is set


class TokenConfig(Section):
    """A bearer token of the HTTP API, for this project alone."""

    name: str
    token: SecretStr | None = None
    token_file: Path | None = None
    role: Role = Role.VIEWER

    @model_validator(mode="after")
    def _has_a_token(self) -> TokenConfig:
        if (self.token is None) == (self.token_file is None):
            raise ValueError("give exactly one of token and token_file")
        return self


class RulerConfig(Section):
    """The rules that `incidentlens rules` writes to Loki's ruler for a project."""

    thresholds: bool = True  # an alerting rule a runbook with observe_threshold
    runbooks: tuple[str, ...] = ()  # globs on the ids of those runbooks; empty: all
    spikes: bool = True
    silence: bool = True
    recording: bool = True  # lines and failing lines a minute by service; needs the ruler's remote_write to be of use
    interval: Annotated[Duration, at_least("1s")] = 60 * 10**9  # how often the ruler evaluates them
    spike_window: Duration = Field(default=300 * 10**9, ge=10 * 10**9)
    spike_count: int = Field(default=20, ge=1)  # failing lines in the window, at least
    spike_ratio: float = Field(default=5, gt=1, allow_inf_nan=False)  # times the rate of the hour before
    silence_window: Duration = Field(default=600 * 10**9, ge=10 * 10**9)
    silence_count: int = Field(default=600, ge=1)  # lines in the hour before: who wrote less is not missed
    rules_per_group: int = Field(default=20, ge=2, le=1000)  # Loki's ruler_max_rules_per_rule_group
    groups: int = Field(default=70, ge=1, le=10_000)  # Loki's ruler_max_rule_groups_per_tenant


class DeployQueryConfig(Section):
    """A LogQL query whose lines each tell of a deploy: of the service of their stream, unless `service` is given."""

    logql: str = Field(min_length=2)
    service: str | None = Field(default=None, min_length=1, max_length=300)
    planned: Duration | None = Field(default=None, gt=0)  # problems of the service are expected for so long


class AnomaliesConfig(Section):
    """The detector that `incidentlens anomalies --config` uses; `eval anomalies --promote` writes it."""

    detector: str = OWN
    parameters: dict[str, float | int | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_known(self) -> AnomaliesConfig:
        check(self.detector, self.parameters)
        return self


class PushDownConfig(Section):
    """When Loki counts a query's lines instead of giving them all, and the most that is fetched then."""

    above_mb_per_minute: float = Field(default=50, gt=0, allow_inf_nan=False)  # for `read: auto`; 50 are 3 GB an hour
    failing_per_minute: int = Field(default=20_000, ge=100)  # failing lines; past it they are sampled
    context_per_minute: int = Field(default=2_000, ge=100)  # warnings of a service that stands out, lines of traces


class ProjectConfig(Section):
    """A tenant: what is read, how often, what matters in it, and who may see it."""

    tenant: Tenant | None = None  # X-Scope-OrgID; none where Loki runs without tenants
    loki: LokiConfig | None = None  # where it differs from the top level's
    queries: tuple[QueryConfig, ...] = Field(min_length=1)
    interval: Annotated[Duration, at_least("1s")] = 5 * 10**9
    window: Annotated[Duration, at_least("1s")] = 120 * 10**9
    delay: Duration = 2 * 10**9  # Loki under-counts its newest seconds
    overlap: Duration = 30 * 10**9  # read again for late records; what was seen is dropped
    catch_up_step: Annotated[Duration, at_least("1s")] = 300 * 10**9  # the most one tick takes in after a stop
    look_back: Duration = 3600 * 10**9  # learnt from at the very first start, nothing is told
    service_label: str = "service_name"
    criticality: dict[str, Annotated[float, Field(gt=0, le=10)]] = Field(default_factory=dict)
    dependencies: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # service: what it calls
    owners: dict[str, str] = Field(default_factory=dict)
    runbooks: tuple[Path, ...] = ()
    builtin_runbooks: bool = True
    templates: tuple[Path, ...] = ()  # folders of *.md.j2 that replace the built-in texts
    policy: Annotated[Policy | Path, file_or_value(Policy)] = Policy()
    signature_rules: Annotated[SignatureRules | Path, file_or_value(SignatureRules)] = SignatureRules()
    max_signatures: int = Field(default=20_000, ge=100, le=1_000_000)
    max_records_per_tick: int = Field(default=500_000, ge=1000)
    push_down: PushDownConfig = PushDownConfig()
    tokens: tuple[TokenConfig, ...] = ()
    ruler: RulerConfig = RulerConfig()
    deploys: tuple[DeployQueryConfig, ...] = Field(default=(), max_length=20)
    anomalies: AnomaliesConfig = AnomaliesConfig()
    grafana: WrittenGrafanaConfig | None = None  # where it differs from publish.grafana
    model: LanguageModelConfig | None = None  # where it differs from the top level's

    @field_validator("queries")
    @classmethod
    def _names_differ(cls, queries: tuple[QueryConfig, ...]) -> tuple[QueryConfig, ...]:
        names = [query.name for query in queries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two queries are named {twice[0]!r}; each needs a name of its own")
        return queries


class StoreConfig(Section):
    """PostgreSQL: a URL, or `embedded: true` for one that IncidentLens starts itself in `data`."""

    url: SecretStr | None = None
    url_file: Path | None = None
    embedded: bool = False
    data: Path = Path(".incidentlens/postgres")
    pool_size: int = Field(default=8, ge=2, le=100)

    @model_validator(mode="after")
    def _one_database(self) -> StoreConfig:
        given = [self.url is not None, self.url_file is not None, self.embedded]
        if sum(given) != 1:
            raise ValueError("give exactly one of url, url_file and embedded: true")
        return self


class ServerConfig(Section):
    """The HTTP API and the pages."""

    listen: str = Field(default="127.0.0.1:8095", pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")
    public_url: AnyHttpUrl | None = None  # how people reach it, for links in notifications
    require_token: bool = True  # false only on loopback: the demo and a laptop


class DataSourceConfig(Section):
    """The data source for Grafana: gRPC without encryption, tokens included, so for a private network only."""

    # 127.0.0.1:50051 is where the plugin looks; null: none is served.
    listen: str | None = Field(default=None, pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")


class PublishConfig(Section):
    """What is written back. Delivery to people is Grafana's: it reads the open alerts."""

    loki_events: bool = False  # push incident events to Loki as the stream {job="incidentlens"}
    grafana: WrittenGrafanaConfig | None = None  # for every project that names none of its own


class Config(Section):
    """The whole file."""

    version: Literal[1] = 1
    loki: LokiConfig = LokiConfig()
    store: StoreConfig
    server: ServerConfig = ServerConfig()
    grafana: DataSourceConfig = DataSourceConfig()
    publish: PublishConfig = PublishConfig()
    model: LanguageModelConfig | None = None  # for every project that names none of its own; off unless given
    projects: dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")], ProjectConfig] = Field(min_length=1)

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Config:
        for name, listen in (("server.listen", self.server.listen), ("grafana.listen", self.grafana.listen)):
            host = (listen or "localhost:0").rsplit(":", 1)[0].strip("[]")
            if not self.server.require_token and host not in ("127.0.0.1", "localhost", "::1"):
                raise ValueError(f"server.require_token may be false only when {name} is a loopback address")
        return self

    def loki_of(self, project: str) -> LokiConfig:
        """The Loki that a project reads."""
        return self.projects[project].loki or self.loki

    def grafana_of(self, project: str) -> WrittenGrafanaConfig | None:
        """The Grafana that a project is written back to, if any."""
        return self.projects[project].grafana or self.publish.grafana

    def model_of(self, project: str) -> LanguageModelConfig | None:
        """The language model that may look at a project's incidents, if any."""
        return self.projects[project].model or self.model
