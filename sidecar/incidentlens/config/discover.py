"""Looks at somebody's Loki: which label names the service, how much there is, where levels are, how lines look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from incidentlens import logql
from incidentlens.intake.errors import LokiError, LokiRefused
from incidentlens.intake.loki import LokiClient
from incidentlens.intake.paging import SERVICE_LABELS, service_of
from incidentlens.intake.reading import EventReader
from incidentlens.model.clock import HOUR, SECOND
from incidentlens.model.records import LINES, stream_key
from incidentlens.model.terms import Level

LOOK_BACK = HOUR
_SAMPLED_SERVICES = 12
_SAMPLED_LINES = 100
_TOP_SERVICES = 50
# Above this many lines a second only failing and warning lines are fetched; the rest Loki itself can filter.
FULL_LINES_PER_SECOND = 2000.0
# What load balancers and orchestrators ask all day long.
PROBES = ("/healthz", "/readyz", "/livez", "/health", "/metrics", "kube-probe", "ELB-HealthChecker")
_PROBE_SHARE = 0.05
_FAILING = "warn|warning|error|err|fatal|critical|panic|unknown"


@dataclass(slots=True)
class Service:
    """What was seen of one service. Lines and bytes a second, over the last hour."""

    name: str
    lines_per_second: float
    bytes_per_second: float
    formats: Counter[str] = field(default_factory=Counter)
    levels: Counter[str] = field(default_factory=Counter)
    sampled: int = 0


@dataclass(slots=True)
class Discovery:
    """What there is, and what to make of it. `notes` are things a person should know, one sentence each."""

    labels: list[str]
    service_label: str
    services: list[Service]
    level_from: str  # "detected_level", the name of a label, or "text"
    probes: list[str]
    notes: list[str]

    @property
    def lines_per_second(self) -> float:
        return sum(service.lines_per_second for service in self.services)

    @property
    def bytes_per_second(self) -> float:
        return sum(service.bytes_per_second for service in self.services)

    @property
    def full(self) -> bool:
        """Whether every line is fetched, or only those that may fail."""
        return self.lines_per_second <= FULL_LINES_PER_SECOND

    def query(self) -> str:
        """The LogQL to begin with."""
        text = f'{{{self.service_label}=~".+"}}'
        for probe in self.probes:
            text += f" != {logql.quote(probe)}"
        if not self.full and self.level_from != "text":
            text += f' | {self.level_from}=~"(?i){_FAILING}|"'
        return text


class NothingFound(Exception):
    """Loki answers but has nothing to look at; the message says what to do."""


async def discover(client: LokiClient, now: int) -> Discovery:
    """Look at the last hour before `now` (ns). Raises LokiError, NothingFound."""
    start = now - LOOK_BACK
    labels = await client.labels(start, now)
    if not labels:
        raise NothingFound(
            "Loki answers, but has no logs of the last hour for this tenant; "
            "is --tenant right, and does something push logs? (try: incidentlens scenario run db_cascade --loki URL)"
        )
    notes: list[str] = []
    label = await _service_label(client, labels, start, now, notes)
    selector = f'{{{label}=~".+"}}'
    lines = await _by(client, f"sum by ({label}) (count_over_time({selector}[1h]))", now, label)
    sizes = await _by(client, f"sum by ({label}) (bytes_over_time({selector}[1h]))", now, label)
    seconds = LOOK_BACK / SECOND
    ranked = sorted(lines, key=lambda name: -lines[name])
    services = [Service(name, lines[name] / seconds, sizes.get(name, 0.0) / seconds) for name in ranked]
    if len(services) > _TOP_SERVICES:
        notes.append(f"{len(services)} services; those beyond the first {_TOP_SERVICES} were not looked at one by one")
    texts: list[str] = []
    for service in services[:_SAMPLED_SERVICES]:
        texts += await _sample(client, label, service, start, now)
    probes = [probe for probe in PROBES if sum(probe in text for text in texts) > _PROBE_SHARE * max(1, len(texts))]
    level_from = await _level_source(client, labels, selector, now, notes)
    found = Discovery(labels, label, services, level_from, probes, notes)
    if not found.full and level_from == "text":
        notes.append(
            "Loki knows no levels here, so every line is fetched; turn on Loki's discover_log_levels to read less"
        )
    return found


async def _service_label(client: LokiClient, labels: list[str], start: int, now: int, notes: list[str]) -> str:
    """The usual label with the most values; failing that, the label with the most values of all but obvious ids."""
    counted = {}
    for name in SERVICE_LABELS:
        if name in labels:
            values = [value for value in await client.label_values(name, start, now) if value != "unknown_service"]
            if values:
                counted[name] = len(values)
    if counted:
        # `pod` has the most values everywhere and is no service; the order of SERVICE_LABELS decides among equals.
        best = max((name for name in counted if name != "pod"), key=lambda name: counted[name], default="pod")
        first = next(iter(counted))
        return first if counted[first] * 2 >= counted[best] else best
    notes.append(f"none of {', '.join(SERVICE_LABELS)} is a label here; check service_label by hand")
    return labels[0]


async def _by(client: LokiClient, query: str, at: int, label: str) -> dict[str, float]:
    """A vector as {label's value: value}; the top ones where Loki says there are too many series."""
    try:
        vector = await client.query_vector(query, at)
    except LokiRefused as error:
        if "series" not in str(error):
            raise
        vector = await client.query_vector(f"topk({_TOP_SERVICES}, {query})", at)
    except LokiError:
        vector = await client.query_vector(f"topk({_TOP_SERVICES}, {query.replace('[1h]', '[5m]')}) * 12", at)
    return {str(series["metric"].get(label, "")): float(series["value"][1]) for series in vector if series["metric"]}


async def _sample(client: LokiClient, label: str, service: Service, start: int, now: int) -> list[str]:
    """Read some of a service's newest lines, and note their formats and levels."""
    page = await client.query_range(
        f"{{{label}={logql.quote(service.name)}}}", start, now, limit=_SAMPLED_LINES, direction="backward"
    )
    rows = []
    for stream in page:
        labels: Mapping[str, str] = stream.get("stream") or {}
        for value in stream["values"]:
            metadata = (value[2] if len(value) > 2 else {}).get("structuredMetadata", {})
            rows.append(
                {
                    "ts": int(value[0]),
                    "service": service_of(labels, metadata, label),
                    "stream": stream_key(labels),
                    "metadata": stream_key(metadata) if metadata else None,
                    "line": str(value[1]),
                }
            )
    if not rows:
        return []
    events = EventReader().read(pl.DataFrame(rows, schema=LINES).sort("ts", maintain_order=True))
    service.sampled = len(rows)
    service.formats.update(events["format"].to_list())
    service.levels.update(events["level"].to_list())
    return [str(row["line"]) for row in rows]


async def _level_source(client: LokiClient, labels: list[str], selector: str, now: int, notes: list[str]) -> str:
    """Where levels really are: what Loki detected, a label, or only the text."""
    for name in ("detected_level", "level", "severity"):
        if name != "detected_level" and name not in labels:
            continue
        try:
            found = await _by(client, f"sum by ({name}) (count_over_time({selector}[5m]))", now, name)
        except LokiError as error:
            notes.append(f"could not ask for {name}: {error}")
            continue
        total = sum(found.values())
        known = sum(count for value, count in found.items() if value not in ("", Level.UNKNOWN.value))
        if total and known / total >= 0.5:
            if known / total < 0.9:
                notes.append(f"{name} is known for {known / total:.0%} of the lines; the rest is read from the text")
            return name
    return "text"
