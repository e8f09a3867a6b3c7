"""When each pattern of the runbooks last matched: what the hint about patterns that no longer do rests on."""

from __future__ import annotations

from incidentlens.model.clock import HOUR
from incidentlens.model.incidents import Incident
from incidentlens.runbooks import Matcher
from incidentlens.store.base import Transaction

from .offloop import Run


class Patterns:
    """Notes what matches in incidents: at each analysis, and once an hour where one goes on without."""

    def __init__(self, matcher: Matcher, run: Run) -> None:
        self._matcher = matcher
        self._run = run
        self._noted: dict[str, int] = {}  # incident: ns

    def forget(self) -> None:
        """A tick failed: what was noted in it is noted again."""
        self._noted.clear()

    async def note(self, tx: Transaction, incident: Incident, now: int, *, anew: bool) -> None:
        """The patterns of `incident` match at `now` (ns)."""
        if not anew and now - self._noted.get(incident.id, 0) < HOUR:
            return
        hits = await self._run(self._matcher.pattern_hits, incident)
        await tx.patterns_matched(((book, pattern) for book, found in hits.items() for pattern in found), now)
        self._noted = {known: at for known, at in self._noted.items() if now - at < HOUR} | {incident.id: now}
