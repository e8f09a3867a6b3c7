"""Writing one choice into incidentlens.yaml, with everything else in it left as it stands."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from .loader import ConfigError, load_config

KEY = "anomalies"


def promote(path: Path, project: str | None, detector: str, parameters: Mapping[str, float | int | str]) -> str:
    """Make `detector` the one that a project of the configuration uses; the project's name.

    The project's key `anomalies` is replaced or put first in the project; comments and order of all else stay.
    ConfigError where the file is not valid before or after, ValueError where the project is not there or is written
    in braces; then the file is as it was.
    """
    loaded = load_config(path)
    name = project or next(iter(loaded.projects))
    if name not in loaded.projects:
        raise ValueError(f"{path} has no project {name}; it has {', '.join(loaded.projects)}")
    text = path.read_text("utf-8")
    changed = _changed(text, name, detector, parameters)
    if changed is None:
        raise ValueError(f"{path} has project {name} in braces; write it on lines of its own first")
    # Beside the file, so that what it names is found, and so that the change is one step.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(changed)
        Path(temporary).chmod(path.stat().st_mode & 0o777)
        if load_config(Path(temporary)).projects[name].config.anomalies.detector != detector:
            raise ValueError(f"{path} could not be changed; write it by hand: {KEY}: {{detector: {detector}}}")
        Path(temporary).replace(path)
    except (ConfigError, ValueError):
        Path(temporary).unlink(missing_ok=True)
        raise
    return name


def _changed(text: str, name: str, detector: str, parameters: Mapping[str, float | int | str]) -> str | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    body = _value(_value(root, "projects"), name)
    if not isinstance(body, yaml.MappingNode) or body.flow_style or not body.value:
        return None
    first = body.value[0][0].start_mark
    indent = " " * first.column
    block = [f"{indent}{KEY}:", f"{indent}  detector: {detector}"]
    if parameters:
        block.append(f"{indent}  parameters: {json.dumps(dict(parameters))}")
    lines = text.splitlines(keepends=True)
    feed = "\r\n" if lines[0].endswith("\r\n") else "\n"
    new = [line + feed for line in block]
    for index, (key, _value_of) in enumerate(body.value):
        if key.value == KEY:
            begin = key.start_mark.line
            following = body.value[index + 1][0].start_mark.line if index + 1 < len(body.value) else None
            end = following if following is not None else body.end_mark.line
            end = end if following is not None or body.end_mark.column == 0 else end + 1
            # Blank lines and comments before what follows belong to that.
            while end - 1 > begin and lines[end - 1].strip()[:1] in ("", "#"):
                end -= 1
            return "".join(lines[:begin] + new + lines[end:])
    return "".join(lines[: first.line] + new + lines[first.line :])


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                found: yaml.Node = value
                return found
    return None
