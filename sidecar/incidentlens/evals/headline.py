"""The table at the top of the report: what people ask for first, beside what the system this follows publishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import reference
from .section import Figure, Section, Table

TITLE = "At a glance"
NOTE = (
    "The last column is what the system that this follows publishes of itself, on its own cases and machine; nothing of"
    " it is measured here."
)

_CAUSES = f"{reference.CAUSE_RIGHT:.0%} of {reference.CAUSE_CASES} cases"
_SUPPRESSED = f"precision {reference.SUPPRESSION_PRECISION:.0%} on {reference.SUPPRESSION_CASES} cases"

# (section, figure, what is said of it where another word serves better, published)
_LINES: tuple[tuple[str, str, str, str], ...] = (
    ("runbooks", "own_hit_rate", "runbooks: lines that have one and hit it", f"{reference.RUNBOOK_HITS:.1%}"),
    ("runbooks", "message_fused_hit1", "", ""),
    ("latency", "investigate_median", "", f"{reference.MEDIAN_INVESTIGATION_S} s"),
    ("latency", "investigate_p95", "", ""),
    ("latency", "run_p95", "", f"{reference.P95_RUN_S} s"),
    ("latency", "lines", "", f"{reference.LINES_A_SECOND} lines/s"),
    ("verifier", "scenarios", "verifier, scenarios: ended as they did", f"{reference.VERIFIER_RESOLVED:.1%} resolved"),
    ("verifier", "agrees", "verifier, cases by hand: agrees", ""),
    ("verifier", "too_early", "verifier, cases by hand: called over too early", ""),
    ("suppression", "precision", "", _SUPPRESSED),
    ("suppression", "recall", "", ""),
    ("suppression", "hidden", "", ""),
    ("clustering", "precision", "", ""),
    ("clustering", "recall", "", ""),
)


def headline(sections: Sequence[Section], value: dict[str, str]) -> Table | None:
    """What of it was measured in `sections`; None where nothing was. `value`: figures as text, by `section/key`."""
    rows: list[list[str | float | int | None]] = []
    for section, figure, name, published in _measured(sections):
        rows.append([name or figure.name, value[f"{section}/{figure.key}"], figure.n, published])
    return Table("", ["figure", "value", "of", "published by the system this follows"], rows) if rows else None


def _measured(sections: Sequence[Section]) -> Iterator[tuple[str, Figure, str, str]]:
    ours = {section.name: {f.key: f for f in section.figures if not f.peer} for section in sections}
    for key, figure in ours.get("root-cause", {}).items():
        if key.endswith("_named") or key in ("hand_cause", "evidence_hit"):  # one of each set of cases
            yield "root-cause", figure, "", _CAUSES
    for section, key, name, published in _LINES:
        if found := ours.get(section, {}).get(key):
            yield section, found, name, published
