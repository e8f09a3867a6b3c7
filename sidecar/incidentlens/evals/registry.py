"""All evaluations by name, in the order of the report."""

from __future__ import annotations

from importlib import import_module

from .section import Context, Section

# name -> the module whose `evaluate(context)` gives its section
EVALUATIONS: dict[str, str] = {
    "signatures": "incidentlens.evals.signatures",
    "anomalies": "incidentlens.evals.anomalies",
    "suppression-bgl": "incidentlens.evals.bgl",
    "root-cause": "incidentlens.evals.root_cause",
    "runbooks": "incidentlens.evals.runbooks",
    "grounding": "incidentlens.evals.grounding",
    "injection": "incidentlens.evals.injection",
}


def evaluate(name: str, context: Context) -> Section:
    """Run one evaluation. KeyError for a name that is not there."""
    section: Section = import_module(EVALUATIONS[name]).evaluate(context)
    return section
