"""What can go wrong between IncidentLens and Loki.

LokiError                 anything; `retry` says whether the same request may succeed later
├── LokiUnavailable       down, timed out, 429, 5xx, half a body: retried, then given up until the next tick
├── LokiRefused           400, 401, 403, 404: it will not get better by itself
├── LokiTooHeavy          the window is more than Loki will answer at once: it is split
└── LokiNotLoki           what answered is not Loki (HTML, another JSON)
"""

from __future__ import annotations


class LokiError(Exception):
    """Loki did not give what was asked for. The message is one line that says what to do."""

    retry = False


class LokiUnavailable(LokiError):
    """Loki is away or overloaded. `after` is its own Retry-After in seconds, where it gave one."""

    retry = True

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class LokiRefused(LokiError):
    """Loki refuses the request as it stands. `status` is what it answered, 0 where it is our own verdict."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class LokiTooHeavy(LokiError):
    """More than Loki answers at once. `page`: the page is too large, however short the window."""

    def __init__(self, message: str, *, page: bool = False) -> None:
        super().__init__(message)
        self.page = page


class LokiNotLoki(LokiError):
    """Whatever answered, it was not Loki."""
