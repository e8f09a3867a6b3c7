"""All evaluations by name, in the order of the report."""

from __future__ import annotations

from importlib import import_module

from .section import Context, Section

# name -> the module whose `evaluate(context)` gives its section
EVALUATIONS: dict[str, str] = {
    "anomalies": "incidentlens.evals.anomalies",
    "suppression-bgl": "incidentlens.evals.bgl",
}


def evaluate(name: str, context: Context) -> Section:
    """Run one evaluation. KeyError for a name that is not there."""
    section: Section = import_module(EVALUATIONS[name]).evaluate(context)
    return section
