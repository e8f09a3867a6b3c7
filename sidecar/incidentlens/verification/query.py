"""The LogQL that finds an incident's own records: a stream selector and line filters, nothing else.

Both are made of log text, which is hostile: every string is quoted as LogQL's strings are (Go's), every alternative of
a regular expression is escaped first, and only plain parts of a template are used, those that stand in a line in the
same way whether it is plain text or JSON.
"""

from __future__ import annotations

import re

import orjson

from incidentlens.logql import quote
from incidentlens.model.incidents import Incident, Problem
from incidentlens.model.terms import ProblemKind

from .constants import constants

MAX_SERVICES = 20
MAX_PROBLEMS = 20
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Their signature's lines are those that come when all is well: whether they go on, only detection can say.
UNCOUNTED = frozenset({ProblemKind.SILENCE, ProblemKind.SEQUENCE, ProblemKind.LATENCY, ProblemKind.ERROR_SHARE})
# Where no template has a constant part to look for: what failing lines say of themselves.
_FAILING = "(?i)(error|fatal|panic|exception|critical)"


def incident_query(incident: Incident, service_label: str = "service") -> str:
    """A log query for the incident's records, to be counted by `count_over_time`; "" where no stream can be
    named, or where no count would show any of its problems.

    `service_label` is the project's. Raises ValueError where it cannot be a label's name.
    """
    if not _LABEL.fullmatch(service_label):
        raise ValueError(f"{service_label!r} cannot be the name of a label")
    problems = watched(incident)
    selector = _selector(problems, service_label)
    return f"{selector} {_filters(problems)}" if selector else ""


def watched(incident: Incident) -> list[Problem]:
    """The problems to count, the suspected cause first, then by score; those whose lines prove nothing are left out."""
    cause = incident.root_cause
    target = (cause.service, cause.signature) if cause and not cause.undetermined else None
    counted = [problem for problem in incident.problems if problem.kind not in UNCOUNTED]
    ordered = sorted(counted, key=lambda p: ((p.service, p.signature) != target, -p.score, p.onset, p.id))
    return ordered[:MAX_PROBLEMS]


def quote_regex(text: str) -> str:
    """The text as a part of an RE2 expression that matches it and nothing else."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)


def _selector(problems: list[Problem], label: str) -> str:
    services = list(dict.fromkeys(p.service for p in problems if p.service and p.service != "unknown"))[:MAX_SERVICES]
    if len(services) == 1:
        return "{" + f"{label}={quote(services[0])}" + "}"
    if services:
        return "{" + f"{label}=~{quote('|'.join(map(quote_regex, services)))}" + "}"
    for problem in problems:  # no service label: the labels of a stream it was seen in
        for sample in problem.samples:
            if labels := _stream_labels(sample.stream):
                return "{" + ", ".join(f"{name}={quote(value)}" for name, value in labels.items()) + "}"
    return ""


def _stream_labels(stream: str) -> dict[str, str]:
    try:
        labels = orjson.loads(stream)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(labels, dict):
        return {}
    kept = {str(name): str(value) for name, value in labels.items() if value and _LABEL.fullmatch(str(name))}
    derived = ("detected_level", "service_name", "level")  # not of the index, or not the same on every record
    return {name: value for name, value in sorted(kept.items()) if name not in derived}


def _filters(problems: list[Problem]) -> str:
    parts = [constants(problem) for problem in problems]
    if len(parts) == 1 and parts[0]:
        return " ".join(f"|= {quote(text)}" for text in parts[0])
    longest = list(dict.fromkeys(found[0] for found in parts if found))
    if not longest or not all(parts):
        alternatives = [*map(quote_regex, longest), _FAILING]
        return f"|~ {quote('|'.join(alternatives))}"
    return f"|~ {quote('|'.join(map(quote_regex, longest)))}"
