"""From incidentlens.yaml to what the sidecar runs on: every file it names is read, every query is checked."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, SecretStr

from incidentlens import logql
from incidentlens.actions import Actor
from incidentlens.intake.loki import LokiSettings
from incidentlens.model.clock import SECOND
from incidentlens.model.signatures import SignatureRules
from incidentlens.model.yamlfile import Document, YamlError, YamlProblem, read
from incidentlens.policy.model import Policy
from incidentlens.runbooks import load_runbooks
from incidentlens.runbooks.model import Runbook

from .grafana import ORGANISATION, GrafanaSettings
from .language_model import Endpoint, LanguageModel
from .model import Config, LokiConfig, ProjectConfig, QueryConfig, Role
from .types import read_secret

# Loki counts its own queries among its logs, and IncidentLens would find the error text it asked for.
OWN_STREAMS = "loki|incidentlens"
_MAX_TOKEN = 1024

_T = TypeVar("_T", Policy, SignatureRules)


@dataclass(frozen=True, slots=True)
class Query:
    """A named query as it is sent: `logql` leaves IncidentLens's and Loki's own streams out unless they are wanted."""

    name: str
    logql: str
    metric: bool
    above: float | None
    read: Literal["auto", "full", "push_down"] = "full"  # how a log query is read, see `pipeline.choosing`


@dataclass(frozen=True, slots=True)
class DeployQuery:
    """A log query whose lines are deploys; `planned` (ns): how long problems of the service are expected."""

    logql: str
    service: str | None
    planned: int | None


@dataclass(frozen=True, slots=True)
class Token:
    """A token, kept as its SHA-256 only."""

    project: str
    name: str
    role: Role
    digest: bytes

    def fits(self, presented: str) -> bool:
        return hmac.compare_digest(self.digest, hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest())


@dataclass(frozen=True, slots=True)
class Project:
    """A project with everything its configuration points to, read and checked."""

    name: str
    config: ProjectConfig
    queries: tuple[Query, ...]
    loki: LokiSettings
    policy: Policy
    rules: SignatureRules
    runbooks: tuple[Runbook, ...] = ()
    tokens: tuple[Token, ...] = ()
    templates: tuple[Path, ...] = ()  # folders whose templates replace the built-in ones by name
    page_limit: int = 5000
    loki_events: bool = False  # push incident events to Loki
    grafana: GrafanaSettings | None = None  # where its incidents are drawn
    model: LanguageModel | None = None  # that may look at what no runbook settles
    deploys: tuple[DeployQuery, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration in force. `files` are all the paths it came from: a change of one calls for a reload."""

    path: Path
    config: Config
    projects: Mapping[str, Project]
    store_url: SecretStr | None
    files: frozenset[Path] = field(default_factory=frozenset)

    def token_of(self, presented: str, project: str | None = None) -> Token | None:
        """The token that fits, of `project` where that is named. Looks at every token, whichever fits first."""
        if len(presented) > _MAX_TOKEN:
            return None
        fitting = [token for each in self.projects.values() for token in each.tokens if token.fits(presented)]
        return next((token for token in fitting if project is None or token.project == project), None)


class ConfigError(ValueError):
    """A configuration that cannot be used; `problems` has each with its file, line, key and what is allowed."""

    def __init__(self, problems: list[YamlProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


def load_config(path: Path, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read `path` and every file that it names. Raises ConfigError with all problems found."""
    problems: list[YamlProblem] = []
    try:
        document = read(path, os.environ if environ is None else environ)
        config = document.validate(Config)
    except YamlError as error:
        raise ConfigError(list(error.problems)) from error
    base = path.resolve().parent
    # By its own name too: a mounted file is a link, and what it leads to goes away when it changes.
    files = {path.resolve(), path.absolute(), *_named_files(config, base)}
    projects: dict[str, Project] = {}
    for name, project in config.projects.items():
        found = _project(name, project, config, document, base, files, problems)
        if found is not None:
            projects[name] = found
    store_url = _secret(document, ("store", "url_file"), config.store.url, config.store.url_file, base, problems)
    if problems:
        raise ConfigError(problems)
    return Loaded(path.absolute(), config, projects, store_url, frozenset(files))


def _named_files(section: BaseModel, base: Path) -> Iterator[Path]:
    """The secret files that a part of the configuration names."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if name.endswith("_file") and isinstance(value, Path):
            yield base / value
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        for part in inner:
            if isinstance(part, BaseModel):
                yield from _named_files(part, base)


def _files_of(folder: Path, pattern: str) -> list[Path]:
    """A folder with those of its files, by the names they were found under; or the file itself."""
    folder = folder.absolute()
    return [folder, folder.resolve(), *(folder.rglob(pattern) if folder.is_dir() else ())]


def builtin_runbooks() -> Path:
    """The runbooks that come with IncidentLens: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "_runbooks"
    return packaged if packaged.is_dir() else package.parents[1] / "runbooks"


def _project(
    name: str,
    project: ProjectConfig,
    config: Config,
    document: Document,
    base: Path,
    files: set[Path],
    problems: list[YamlProblem],
) -> Project | None:
    place = ("projects", name)
    before = len(problems)
    queries = []
    for index, query in enumerate(project.queries):
        checked = _query(query)
        if isinstance(checked, str):
            error = document.error((*place, "queries", index, "logql"), checked)
            problems.extend(error.problems)
        else:
            queries.append(checked)
    for index, told in enumerate(project.deploys):
        if wrong := _wrong_with(told.logql):
            problems.extend(document.error((*place, "deploys", index, "logql"), wrong).problems)
    policy = _file_or_value(project.policy, Policy, base, files, problems)
    rules = _file_or_value(project.signature_rules, SignatureRules, base, files, problems)
    folders = [base / folder for folder in project.runbooks]
    if project.builtin_runbooks:
        folders.insert(0, builtin_runbooks())
    runbooks: list[Runbook] = []
    try:
        runbooks = load_runbooks(folders)
    except YamlError as error:
        problems.extend(error.problems)
    for folder in folders:
        files.update(_files_of(folder, "*.y*ml"))
        files.update(_files_of(folder, "*.md"))
        files.update(_files_of(folder, "*.markdown"))
    loki_place = (*place, "loki") if project.loki else ("loki",)
    loki = _loki(project.loki or config.loki, project.tenant, document, loki_place, base, problems)
    tokens = []
    for index, token in enumerate(project.tokens):
        where = (*place, "tokens", index, "token_file")
        secret = _secret(document, where, token.token, token.token_file, base, problems)
        if secret is None:
            continue
        if len(secret.get_secret_value()) < 16:
            problems.extend(document.error(where[:-1], "a token needs at least 16 characters").problems)
            continue
        digest = hashlib.sha256(secret.get_secret_value().encode()).digest()
        tokens.append(Token(name, token.name, token.role, digest))
    grafana = _grafana(name, config, document, base, problems)
    model = _language_model(name, config, document, base, problems)
    templates = tuple(base / folder for folder in project.templates)
    for folder in templates:
        files.update(_files_of(folder, "*.j2"))
    for complaint in Actor(templates).check():
        problems.extend(document.error((*place, "templates"), complaint).problems)
    if len(problems) > before or policy is None or rules is None:
        return None
    return Project(
        name=name,
        config=project,
        queries=tuple(queries),
        loki=loki,
        policy=policy,
        rules=rules,
        runbooks=tuple(runbooks),
        tokens=tuple(tokens),
        templates=templates,
        page_limit=(project.loki or config.loki).page_limit,
        loki_events=config.publish.loki_events,
        grafana=grafana,
        model=model,
        deploys=tuple(DeployQuery(told.logql, told.service, told.planned) for told in project.deploys),
    )


def _wrong_with(log_query: str) -> str:
    """What is wrong with a query whose lines are wanted; "" where nothing is."""
    error = logql.check(log_query)
    if error is not None:
        return str(error)
    return "is a metric query; lines that tell of deploys are wanted" if logql.is_metric(log_query) else ""


def _query(query: QueryConfig) -> Query | str:
    """The query as it is sent, or what is wrong with it."""
    error = logql.check(query.logql)
    if error is not None:
        return str(error)
    metric = logql.is_metric(query.logql)
    if metric and query.above is None:
        return "is a metric query, so it needs `above`: the value over which a series starts an investigation"
    if not metric and query.above is not None:
        return "is a log query; `above` is for metric queries"
    if metric and query.read != "auto":
        return "is a metric query, which Loki counts anyway; `read` is for log queries"
    text = query.logql if query.keep_own_streams else without_own_streams(query.logql)
    return Query(query.name, text, metric, query.above, query.read)


def without_own_streams(query: str) -> str:
    """The query without IncidentLens's and Loki's own streams. Raises LogQLError."""
    return logql.with_matcher(query, "service_name", "!~", OWN_STREAMS)


def _file_or_value(
    given: _T | Path, model: type[_T], base: Path, files: set[Path], problems: list[YamlProblem]
) -> _T | None:
    if not isinstance(given, Path):
        return given
    path = base / given
    files.update((path.absolute(), path.resolve()))
    try:
        return read(path).validate(model)
    except YamlError as error:
        problems.extend(error.problems)
        return None


def _secret(
    document: Document,
    place: tuple[str | int, ...],
    value: SecretStr | None,
    file: Path | None,
    base: Path,
    problems: list[YamlProblem],
) -> SecretStr | None:
    try:
        return read_secret(value, file, base)
    except ValueError as error:
        problems.extend(document.error(place, str(error)).problems)
        return None


def _loki(
    loki: LokiConfig,
    tenant: str | None,
    document: Document,
    place: tuple[str, ...],
    base: Path,
    problems: list[YamlProblem],
) -> LokiSettings:
    password = _secret(document, (*place, "password_file"), loki.password, loki.password_file, base, problems)
    bearer = _secret(document, (*place, "bearer_token_file"), loki.bearer_token, loki.bearer_token_file, base, problems)
    return LokiSettings(
        url=str(loki.url),
        tenant=tenant,
        username=loki.username,
        password=password.get_secret_value() if password else None,
        bearer_token=bearer.get_secret_value() if bearer else None,
        timeout_s=loki.timeout / SECOND,
        max_attempts=loki.max_attempts,
        max_response_bytes=loki.max_response_mb << 20,
    )


def _grafana(
    name: str, config: Config, document: Document, base: Path, problems: list[YamlProblem]
) -> GrafanaSettings | None:
    grafana = config.grafana_of(name)
    if grafana is None:
        return None
    own = config.projects[name].grafana is not None
    place = ("projects", name, "grafana", "token_file") if own else ("publish", "grafana", "token_file")
    token = _secret(document, place, grafana.token, grafana.token_file, base, problems)
    places = tuple(dict.fromkeys(grafana.dashboards))
    return GrafanaSettings(
        url=str(grafana.url).rstrip("/"),
        token=token.get_secret_value() if token else "",
        places=(*places, ORGANISATION) if grafana.organisation_wide else places,
        least=grafana.least,
        max_annotations=grafana.max_annotations,
        max_age=grafana.max_age,
        read_back=grafana.read_back,
        timeout_s=grafana.timeout / SECOND,
        public_url=str(config.server.public_url or "").rstrip("/"),
    )


def _language_model(
    name: str, config: Config, document: Document, base: Path, problems: list[YamlProblem]
) -> LanguageModel | None:
    given = config.model_of(name)
    if given is None:
        return None
    place: tuple[str | int, ...] = (
        ("projects", name, "model") if config.projects[name].model is not None else ("model",)
    )
    endpoints = []
    for index, endpoint in enumerate(given.endpoints):
        where = (*place, "endpoints", index, "api_key_file")
        key = _secret(document, where, endpoint.api_key, endpoint.api_key_file, base, problems)
        endpoints.append(
            Endpoint(
                name=endpoint.name,
                url=str(endpoint.url),
                model=endpoint.model,
                key=key.get_secret_value() if key else "",
                input_price=endpoint.input_price,
                output_price=endpoint.output_price,
                structured=endpoint.structured,
            )
        )
    return LanguageModel(given, tuple(endpoints))
