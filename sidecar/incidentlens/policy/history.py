"""What happened before, as far as a decision needs it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import Field

from incidentlens.model.base import Value
from incidentlens.model.clock import MINUTE
from incidentlens.model.decisions import Decision, Deploy, Feedback, Maintenance
from incidentlens.model.incidents import Incident
from incidentlens.model.terms import Disposition, Mode

MAX_TOLD = 500


class Told(Value):
    """Somebody was told once (or would have been, in shadow)."""

    incident_id: str
    at: int
    mode: Mode
    disposition: Disposition
    episode: int  # how often the incident had been re-opened by then
    signature: str = ""  # the cause's
    digest: bool = False


class RulerAlert(Value):
    """An alert that Loki's ruler fires for a rule of the team's own; it is a problem of the incident."""

    name: str
    starts_at: int
    ends_at: int | None = None  # until then unless it is sent again


class History(Value):
    """All times in ns. Everything is optional: what is not known is not held against anybody."""

    told: tuple[Told, ...] = ()  # of the whole project, in any order, the latest 500
    counts: tuple[tuple[int, int], ...] = ()  # (start of the minute, records of the incident's signatures in it)
    reopened_at: tuple[int, ...] = ()  # when this incident was re-opened
    re_escalated: int = 0  # how often the verifier found this incident under-triaged in this episode
    first_seen: dict[str, int] = Field(default_factory=dict)  # when each service was first seen
    watched_since: int | None = None  # since when the project is watched; without it no service counts as new
    maintenance: tuple[Maintenance, ...] = ()
    deploys: tuple[Deploy, ...] = ()  # the recent ones
    ruler_alerts: tuple[RulerAlert, ...] = ()  # firing now, of this incident
    noise: tuple[Feedback, ...] = ()  # words in force that call what leads this incident noise, the latest first

    @classmethod
    def of(
        cls,
        decisions: Iterable[Decision],
        *,
        counts: Sequence[tuple[int, int]] = (),
        reopened_at: Sequence[int] = (),
        re_escalated: int = 0,
        first_seen: dict[str, int] | None = None,
        watched_since: int | None = None,
        maintenance: Sequence[Maintenance] = (),
        deploys: Sequence[Deploy] = (),
        ruler_alerts: Sequence[RulerAlert] = (),
        noise: Sequence[Feedback] = (),
    ) -> History:
        """Out of the project's recent decisions (`Transaction.recent_decisions`) and what the pipeline knows.

        Reach back at least as far as the longest cooldown, storm window and flapping window, and give this
        incident's own decisions whole, or it may be told twice.
        """
        told = sorted((told_by(decision) for decision in decisions if decision.tell), key=lambda item: -item.at)
        return cls(
            told=tuple(told[:MAX_TOLD]),
            counts=tuple(counts),
            reopened_at=tuple(reopened_at),
            re_escalated=re_escalated,
            first_seen=first_seen or {},
            watched_since=watched_since,
            maintenance=tuple(maintenance),
            deploys=tuple(deploys),
            ruler_alerts=tuple(ruler_alerts),
            noise=tuple(noise),
        )

    def records(self, incident: Incident, window_ns: int, now: int) -> tuple[int, bool]:
        """Records of the incident in the window that ends now, and whether that had to be estimated.

        Whole minutes: a minute counts when any of it lies in the window. Without counts the incident's own count
        serves while it is younger than the window, and its rate after that.
        """
        since = now - window_ns
        if self.counts:
            return sum(count for start, count in self.counts if start + MINUTE > since and start <= now), False
        if incident.onset >= since:
            return incident.count, False
        if incident.last_seen < since:
            return 0, True
        rate = sum(problem.rate_per_minute for problem in incident.problems if problem.last_seen >= since)
        return min(incident.count, round(rate * window_ns / MINUTE)), True


def told_by(decision: Decision) -> Told:
    """The trace a decision that tells leaves."""
    return Told(
        incident_id=decision.incident_id,
        at=decision.at,
        mode=decision.mode,
        disposition=decision.disposition,
        episode=int(decision.inputs.get("episode", 0)),
        signature=str(decision.inputs.get("signature", "")),
        digest=bool(decision.inputs.get("digest", False)),
    )
