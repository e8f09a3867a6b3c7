"""What is known around an incident that is not in its bundle."""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import Field

from incidentlens.model.analysis import RunbookVotes
from incidentlens.model.base import Value
from incidentlens.model.decisions import Deploy
from incidentlens.model.incidents import Incident


class AnalysisContext(Value):
    """Times in ns. Everything but `now` is optional; a rule that lacks what it needs says nothing."""

    now: int
    deploys: tuple[Deploy, ...] = ()  # the project's recent ones
    related: tuple[Incident, ...] = ()  # the project's live and recently ended incidents
    owners: dict[str, str] = Field(default_factory=dict)  # service (globs allowed) -> who owns it
    dependencies: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # service -> what it calls
    runbook_votes: dict[str, RunbookVotes] = Field(default_factory=dict)  # by a runbook's id: what people said of it
    counts: tuple[tuple[int, int], ...] = ()  # (start of the minute, records of the incident's signatures in it)

    def owner(self, service: str) -> str | None:
        """The owner by exact name, else by the most specific (longest) glob."""
        if service in self.owners:
            return self.owners[service]
        globs = sorted(
            (glob for glob in self.owners if fnmatchcase(service, glob)), key=lambda glob: (-len(glob), glob)
        )
        return self.owners[globs[0]] if globs else None
