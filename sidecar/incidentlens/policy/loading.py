"""A policy from its file."""

from __future__ import annotations

from pathlib import Path

from incidentlens.model import yamlfile

from .model import Policy


def load_policy(path: str | Path) -> Policy:
    """Raises YamlError with file, line, key and what is allowed."""
    return yamlfile.load(path, Policy)
