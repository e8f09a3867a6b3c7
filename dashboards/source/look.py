"""Colours, units and thresholds. Terms have the colours of the data source's own columns: one for one meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, FieldColorModeId, Threshold, ThresholdsMode

from incidentlens.grafana.queries.look import DISPOSITION, KINDS, LEVEL, OUTCOME, SEVERITY, STATUS
from incidentlens.model.terms import Disposition

GOOD, WORSE, BAD, PLAIN = "green", "orange", "red", "text"
NOTHING = "#8a94a3"  # behind a term that is not there; white on transparent could not be read in the light theme

SHARES = {
    "Runbook hit rate": "Runbook hits",
    "Suppression rate": "Held back",
    "Suppression precision": "Rightly so",
    "Verified as resolved": "Resolved",
}  # where there is no room for the name

DISPOSITION_ESCALATE = DISPOSITION[Disposition.ESCALATE]

SECONDS, SHARE, COUNT, MONEY, RATE = "s", "percentunit", "short", "currencyUSD", "suffix:/s"

__all__ = [
    "BAD", "COUNT", "DISPOSITION", "DISPOSITION_ESCALATE", "GOOD", "KINDS", "LEVEL", "MONEY", "NOTHING", "OUTCOME",
    "PLAIN", "RATE", "SECONDS", "SEVERITY", "SHARE", "SHARES", "STATUS", "WORSE", "by_threshold", "colour_of", "fixed",
    "mapped", "steps",
]  # fmt: skip


def steps(base: str, *above: tuple[float, str]) -> ThresholdsConfig:
    """Thresholds: `base` below the first value, then each colour from its value on."""
    every: list[tuple[float | None, str]] = [(None, base), *above]
    found = [Threshold(value=value, color=colour) for value, colour in every]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def fixed(colour: str) -> FieldColor:
    """One colour, whatever the value."""
    return FieldColor().mode(FieldColorModeId.FIXED).fixed_color(colour)


def by_threshold() -> FieldColor:
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def colour_of(value: Any) -> DynamicConfigValue:
    """For an override: a series of one colour."""
    return DynamicConfigValue("color", {"mode": "fixed", "fixedColor": value})


def mapped(colours: Mapping[Any, str]) -> DynamicConfigValue:
    """For an override: each term in its colour. For data that comes without (the data source sends its own)."""
    options = {str(term): {"color": colour, "index": place} for place, (term, colour) in enumerate(colours.items())}
    return DynamicConfigValue("mappings", [{"type": "value", "options": options}])
