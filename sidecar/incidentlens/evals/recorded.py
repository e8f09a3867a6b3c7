"""What a replay asked of the ranking last, kept, so that a ranking can be asked again with other weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from incidentlens.incidents import root_cause
from incidentlens.model.incidents import Incident, RootCause
from incidentlens.pipeline import handling as pipeline_handling

from .playing import Answer

Asked = dict[str, tuple[Any, ...]]  # incident id: the arguments of `root_cause`


@contextmanager
def recording() -> Iterator[Asked]:
    """While this lasts, the arguments of the last call of `root_cause` for each incident are kept."""
    asked: Asked = {}

    def keep(incident: Incident, *rest: Any) -> RootCause:
        asked[incident.id] = (incident, *rest)
        return root_cause(incident, *rest)

    handling: Any = pipeline_handling
    handling.root_cause = keep
    try:
        yield asked
    finally:
        handling.root_cause = root_cause


def leading(answer: Answer, asked: Asked) -> tuple[Any, ...] | None:
    """The arguments for the most important incident of an answer, None where there is none."""
    return asked.get(answer.incidents[0]["id"]) if answer.incidents else None
