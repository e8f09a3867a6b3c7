"""All evaluations by name, in the order of the report."""

from __future__ import annotations

from importlib import import_module

from .section import Context, Section

# name -> the module whose `evaluate(context)` gives its section
EVALUATIONS: dict[str, str] = {
    "signatures": "incidentlens.evals.signatures",
    "anomalies": "incidentlens.evals.anomalies",
    "clustering": "incidentlens.evals.clustering",
    "suppression": "incidentlens.evals.suppression",
    "suppression-bgl": "incidentlens.evals.bgl",
    "root-cause": "incidentlens.evals.root_cause",
    "runbooks": "incidentlens.evals.runbooks",
    "verifier": "incidentlens.evals.verifier",
    "grounding": "incidentlens.evals.grounding",
    "injection": "incidentlens.evals.injection",
    "latency": "incidentlens.evals.latency",
}


def evaluate(name: str, context: Context) -> Section:
    """Run one evaluation. KeyError for a name that is not there."""
    section: Section = import_module(EVALUATIONS[name]).evaluate(context)
    return section
