"""Rule files for a ruler whose store is read-only: `FOLDER/<tenant>/incidentlens-<project>.yaml`.

That is how Loki's `local` rule store wants them: a folder a tenant, a file a namespace.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from .build import RulerError, namespace_of
from .model import Group, RuleYamlError, groups_yaml, read_file

NO_TENANT = "fake"  # what Loki calls its only tenant while authentication is off
_TENANT = re.compile(r"[A-Za-z0-9!_.*'()-]{1,150}")


def rule_file(folder: Path, project: str, tenant: str | None) -> Path:
    """Where a project's rules belong. Raises RulerError where the tenant can name no folder."""
    name = tenant or NO_TENANT
    if not _TENANT.fullmatch(name) or name in (".", ".."):
        raise RulerError(f"the tenant {name!r} of project {project} can name no folder of rules; Loki refuses it too")
    return folder / name / f"{namespace_of(project)}.yaml"


def read_rule_file(path: Path) -> list[Group]:
    """The groups that the file has; none where there is no file. Raises RulerError."""
    try:
        return read_file(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RulerError(f"{path} cannot be read: {error.strerror or error}") from error
    except RuleYamlError as error:
        raise RulerError(f"{path} {error}; move it away or correct it") from error


def write_rule_file(path: Path, groups: Sequence[Group]) -> None:
    """Write the file, whole or not at all: a ruler reads its folder at any time. Raises RulerError."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(groups_yaml(list(groups)), "utf-8")
        os.replace(fresh, path)
    except OSError as error:
        raise RulerError(f"{path} cannot be written: {error.strerror or error}") from error
