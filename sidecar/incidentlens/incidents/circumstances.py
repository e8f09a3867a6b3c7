"""What is known besides an incident's own records when its cause is looked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from incidentlens.model.decisions import Deploy

_QUIET = 0.3  # of its usual lines, at most: the service is quiet
_LIVELY = 0.6  # at least: it goes on as usual


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Everything may be left out.

    `calls`: what each service calls, as traces have shown. `liveliness`: {service: (harmless lines since the incident
    began, how many are usual)}. `deploys`: announced ones. `rivals`: services of other incidents that began at about
    the same time and could not be tied to this one. `history`: minutes that had been observed before it began.
    """

    calls: Mapping[str, Sequence[str]] = field(default_factory=dict)
    liveliness: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    deploys: Sequence[Deploy] = ()
    rivals: frozenset[str] = frozenset()
    history: float = math.inf

    def quiet(self, service: str) -> bool:
        """True where the service writes far less than usual."""
        now, usual = self.liveliness.get(service, (0, 0.0))
        return usual > 0 and now <= _QUIET * usual

    def lively(self, service: str) -> bool:
        """True where it writes as usual."""
        now, usual = self.liveliness.get(service, (0, 0.0))
        return usual > 0 and now >= _LIVELY * usual

    def said_of(self, service: str) -> str:
        """Its liveliness in words, empty where nothing is known or it is as usual."""
        now, usual = self.liveliness.get(service, (0, 0.0))
        return f"{now} lines came where {usual:.0f} are usual" if self.quiet(service) else ""
