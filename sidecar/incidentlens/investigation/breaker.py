"""A circuit breaker: an endpoint that fails again and again is left alone for a while.

As M. Nygard describes it ("Release It!", 2007): closed, open for a time that doubles, then one call to try.
"""

from __future__ import annotations

from incidentlens.model.clock import MINUTE, SECOND, Clock

_FAILURES = 3
_FIRST_REST = 30 * SECOND
_LONGEST_REST = 15 * MINUTE


class Breaker:
    """One endpoint's. Not kept over a restart: the first call then tries anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._rests = 0
        self.resting_until = 0  # ns

    def allows(self) -> bool:
        return self._clock.now() >= self.resting_until

    def worked(self) -> None:
        self._failures = self._rests = 0
        self.resting_until = 0

    def failed(self, rest: int = 0) -> None:
        """`rest`: how long the endpoint itself asks to be left alone, ns."""
        self._failures += 1
        now = self._clock.now()
        if self._failures >= _FAILURES:
            self.resting_until = now + min(_LONGEST_REST, _FIRST_REST * 2 ** min(self._rests, 10))
            self._rests += 1
            self._failures = _FAILURES - 1  # the one try after the rest decides
        self.resting_until = max(self.resting_until, now + min(rest, _LONGEST_REST))
