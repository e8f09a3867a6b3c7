"""The first incidentlens.yaml, written out of what was discovered, with a comment for every choice."""

from __future__ import annotations

import json

from .discover import Discovery

_INTERVAL_S = 5


def render(found: Discovery, loki_url: str, tenant: str | None, project: str) -> str:
    """YAML that `incidentlens check` accepts as it stands."""
    lines = [
        "# incidentlens.yaml, written by `incidentlens init`. Every choice below is explained; change what you like,",
        "# then: incidentlens check",
        "version: 1",
        "",
        "loki:",
        f"  url: {json.dumps(loki_url)}",
        "  # bearer_token_file: /run/secrets/loki-token   # or username and password_file",
        "",
        "store:",
        "  # PostgreSQL. `embedded: true` starts one in ./.incidentlens, which is enough to try things out.",
        "  # In production: url: ${DATABASE_URL}",
        "  embedded: true",
        "",
        "server:",
        '  listen: "127.0.0.1:8095"   # pages, API, /metrics, and where Loki\'s ruler may post alerts',
        "  require_token: false       # only allowed on loopback; elsewhere give each project tokens",
        "",
        "# grafana:",
        '#   listen: "127.0.0.1:50051"   # for the data source in Grafana; plain gRPC: on a private network only',
        "",
        "projects:",
        f"  {project}:",
    ]
    if tenant:
        lines.append(f"    tenant: {json.dumps(tenant)}")
    else:
        lines.append("    # tenant: shop   # X-Scope-OrgID, where Loki runs with tenants")
    lines += [
        f"    service_label: {found.service_label}   # {_services_comment(found)}",
        "    interval: 5s   # how often Loki is asked",
        "    window: 2m     # what counts as now",
        "    queries:",
        *_query_comment(found),
        "      - name: logs",
        f"        logql: {_yaml_string(found.query())}",
        *_services(found),
        "    # How much a service matters, 1 unless said otherwise; it weighs the score.",
        "    # criticality:",
        *(f"    #   {json.dumps(service.name)}: 2" for service in found.services[:1]),
        "    # Who calls whom, where the logs do not say: it helps to find causes.",
        "    # dependencies:",
        "    #   checkout: [payment, orders]",
        "    # runbooks: [runbooks/]   # your own, beside the built-in ones",
        "    policy:",
        "      # learn: only learns; shadow: decides and shows everything, sends nothing; live: tells people.",
        "      mode: shadow",
        "",
    ]
    return "\n".join(lines)


def _yaml_string(text: str) -> str:
    """A block-free YAML scalar: single quotes need only themselves doubled."""
    return "'" + text.replace("'", "''") + "'"


def _services_comment(found: Discovery) -> str:
    named = ", ".join(service.name for service in found.services[:3])
    more = f" and {len(found.services) - 3} more" if len(found.services) > 3 else ""
    return f"{len(found.services)} services: {named}{more}".replace("\n", " ")[:100]


def _query_comment(found: Discovery) -> list[str]:
    size = found.bytes_per_second * _INTERVAL_S
    amount = f"{found.lines_per_second * _INTERVAL_S:,.0f} lines, {_bytes(size)} an interval of {_INTERVAL_S} s"
    lines = [f"      # The last hour had {amount}"]
    if found.full:
        lines[-1] += ": little enough to read it all."
    else:
        lines[-1] += ": too much to read it all,"
        lines.append("      # so only lines that may fail are fetched.")
    source = {
        "detected_level": "Loki detects them (detected_level)",
        "text": "only in the text, IncidentLens reads them there",
    }.get(found.level_from, f"the label {found.level_from} has them")
    lines.append(f"      # Levels: {source}.")
    if found.probes:
        lines.append("      # Health checks are left out: they are noise here.")
    lines += [f"      # Note: {note}" for note in found.notes]
    return lines


def _services(found: Discovery) -> list[str]:
    lines = ["    # What a sample of the lines looks like:"]
    for service in found.services[:12]:
        formats = ", ".join(name for name, _ in service.formats.most_common(3)) or "not sampled"
        failing = sum(count for level, count in service.levels.items() if level in ("error", "fatal"))
        share = f", {failing / sum(service.levels.values()):.0%} failing" if service.levels else ""
        text = f"    #   {service.name}: {service.lines_per_second:.2f} lines/s, {formats}{share}"
        lines.append(text.replace("\n", " ")[:118])
    return lines


def _bytes(amount: float) -> str:
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
