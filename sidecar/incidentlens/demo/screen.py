"""What the demo shows: a story that scrolls, and below it, in a terminal, a line that lives."""

from __future__ import annotations

import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

_BARS = " ▁▂▃▄▅▆▇█"
_STYLES = {
    "opened": "bold red",
    "reopened": "bold red",
    "problem_joined": "yellow",
    "analysed": "cyan",
    "decided": "magenta",
    "notified": "bold magenta",
    "suppressed": "dim",
    "verifying": "blue",
    "verified": "bold green",
    "closed": "green",
}


class Screen:
    """Prints the story to stderr; in a terminal a live panel stays at the bottom."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._rates: deque[int] = deque(maxlen=40)
        self._lines = 0
        self.status: dict[str, str] = {}
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def restart_clock(self) -> None:
        """Seconds are told from now on: the moment the scenario begins."""
        self._began = time.monotonic()

    def say(self, text: str, kind: str = "", style: str | None = None) -> None:
        """One line of the story. `text` is plain: log text in it is shown as it is."""
        shown = Text()
        shown.append(f"{time.monotonic() - self._began:6.1f} s  ", style="dim")
        if kind:
            shown.append(f"{kind.replace('_', ' '):<15}", style=style or _STYLES.get(kind, "bold"))
        shown.append(_printable(text), style=style if not kind else "")
        self._console.print(shown, soft_wrap=not self._console.is_terminal)

    def detail(self, text: str, style: str = "dim") -> None:
        """A line that belongs to the one above."""
        self._console.print(Text(" " * 10 + _printable(text), style=style), soft_wrap=not self._console.is_terminal)

    def pushed(self, lines: int, seconds: float) -> None:
        """So many lines went to Loki in so many seconds."""
        self._lines += lines
        self._rates.append(round(lines / seconds))
        self.refresh()

    def refresh(self) -> None:
        if self._live:
            self._live.update(self._panel())

    def _panel(self) -> RenderableType:
        top = max(self._rates, default=1) or 1
        bars = "".join(_BARS[min(8, round(8 * rate / top))] for rate in self._rates)
        now = self._rates[-1] if self._rates else 0
        first = Text.assemble((f"{now:5d} lines/s ", "bold"), (bars, "cyan"), f"  {self._lines} lines")
        second = Text("   ".join(f"{name}: {value}" for name, value in self.status.items()))
        return Panel(Group(first, second), title="incidentlens demo", title_align="left", border_style="dim")


def _printable(text: str) -> str:
    """Control characters of a log line must not reach the terminal."""
    return "".join(char if char.isprintable() else " " if char in "\n\t\r" else "�" for char in text)
