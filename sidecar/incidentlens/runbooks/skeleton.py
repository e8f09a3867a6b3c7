"""A new runbook to fill in: empty, or begun from an incident."""

from __future__ import annotations

import re

from incidentlens.model.incidents import Incident, Problem
from incidentlens.model.terms import Disposition, Severity

from .lint import pattern_fault

_ID = re.compile(r"^[a-z0-9][a-z0-9_-]*$")
_MAX_PATTERNS = 3


def new_runbook(runbook_id: str, incident: Incident | None = None) -> str:
    """A commented YAML file that `load_runbook` takes as it stands.

    With an incident, its name, severity, disposition, services and patterns are proposed from the suspected cause
    and what was seen. Raises ValueError where the id is not lower-case letters, digits, `-` and `_`.
    """
    if not _ID.match(runbook_id):
        raise ValueError(f"{runbook_id[:80]!r} cannot be an id: use lower-case letters, digits, '-' and '_'")
    name = runbook_id.replace("-", " ").replace("_", " ").capitalize()
    severity, disposition = Severity.MEDIUM, Disposition.NEEDS_DEV
    patterns = ["replace this with the words of the failure"]
    services: tuple[str, ...] = ()
    description = "What breaks, and what users notice of it."
    if incident is not None and incident.problems:
        cause = cause_problem(incident)
        name = _one_line(incident.title) or name
        severity, disposition = incident.severity, incident.disposition
        patterns = patterns_from(cause) or patterns
        services = (cause.service,)
        description = _one_line(incident.summary) or description
    listed = "\n".join(f"  - {_quoted(pattern)}" for pattern in patterns)
    service_line = (
        f"services: [{', '.join(map(_quoted, services))}]" if services else "# services: [payment, 'order-*']"
    )
    return f"""\
# Check it with: incidentlens runbooks lint, and try it with: incidentlens runbooks match
id: {runbook_id}
name: {_quoted(name)}
description: {_quoted(description)}
default_severity: {severity}  # critical, high, medium or low
disposition: {disposition}  # ESCALATE, NEEDS_ONCALL, NEEDS_DEV, OBSERVE or NO_ACTION

# Words or regular expressions (RE2), without regard to case, as specific as the failure allows.
# They are searched for in templates (variable parts are <*>), messages, whole lines and signature names.
patterns:
{listed}

# Only for these services (globs), and only for streams with these labels; leave out for all.
{service_line}
# labels: {{env: prod}}

# What to look at, in order, and what each answer means.
steps:
  - Say when it began and whether a deploy or a configuration change came shortly before.
  - Name the query, dashboard or command to look at next, and what a bad value is.
  - Say how to stop the damage, and whom to ask.

# Below the count it is only observed; at the count it becomes escalate_to.
# observe_threshold: {{count: 20, window_minutes: 10, escalate_to: NEEDS_ONCALL}}

cooldown_minutes: 15  # the same incident is not told again within this time
verification:
  quiet_minutes: 5  # how long it must be quiet to count as over
# links: [https://wiki.example.com/runbooks/{runbook_id}]
"""


def cause_problem(incident: Incident) -> Problem:
    """The suspected cause's problem; where there is none, the earliest."""
    cause = incident.root_cause
    if cause is not None and not cause.undetermined:
        for problem in incident.problems:
            if (problem.service, problem.signature) == (cause.service, cause.signature):
                return problem
    return min(incident.problems, key=lambda problem: (problem.onset, -problem.score))


def patterns_from(problem: Problem) -> list[str]:
    """The longest constant parts of the problem's template as patterns; one too broad to be of use is left out."""
    parts = [part.strip(" \t:,;=\"'()[]{}") for part in problem.template.replace("\n", "<*>").split("<*>")]
    wanted = sorted({part[:120] for part in parts if len(part) >= 8}, key=lambda part: (-len(part), part))
    escaped = [re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", part) for part in wanted]
    return [pattern for pattern in escaped if pattern_fault(pattern) is None][:_MAX_PATTERNS]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _quoted(text: str) -> str:
    """A double-quoted YAML scalar in ASCII, whatever a log line put into it."""
    return '"' + "".join(map(_escape, text.encode("utf-8", "replace").decode())) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if char in '"\\':
        return "\\" + char
    if 0x20 <= code < 0x7F:
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
