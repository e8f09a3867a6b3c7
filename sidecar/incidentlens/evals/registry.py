"""All evaluations by name, in the order of the report."""

from __future__ import annotations

import traceback
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


def attempt(name: str, context: Context) -> Section:
    """Run one evaluation; what it raises becomes a section that says so, so that the others still run."""
    try:
        return evaluate(name, context)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{at.filename.rpartition('incidentlens/')[2]}:{at.lineno}"
        return Section(name, name.replace("-", " ").capitalize(), failed=f"{type(error).__name__}: {error} ({where})")
