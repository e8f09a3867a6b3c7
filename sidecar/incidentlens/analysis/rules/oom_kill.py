"""The kernel or the orchestrator killed a process for its memory."""

from __future__ import annotations

import re2

from incidentlens.model.analysis import Bundle, Finding
from incidentlens.model.terms import Severity

from ..citing import items
from ..context import AnalysisContext

_OOM = re2.compile(
    r"(?i)\boom[\s_-]?kill(?:ed|er|ing)?\b|out of memory: kill|memory cgroup out of memory|invoked oom-killer"
    r"|exit(?:ed)?(?: with)?(?: status| code)?[\s:=]+137\b|exitcode[\"']?[\s:=]+137\b"
    r"|killed process \d+ .{0,80}anon-rss"
)


class OomKill:
    """Reads the records of the bundle; a runtime's own out-of-memory error is not a kill and is left to runbooks."""

    name = "out_of_memory_kill"

    def check(self, bundle: Bundle, context: AnalysisContext) -> Finding | None:
        hits = [
            item
            for item in sorted(items(bundle, "record"), key=lambda item: item.ts)
            if _OOM.search(item.text[:8_000].encode("utf-8", "replace").decode()) is not None
        ]
        if not hits:
            return None
        # Not "a process of": a kernel or an orchestrator writes of a process that is another service's.
        services = sorted({item.service for item in hits})
        said = "1 record says" if len(hits) == 1 else f"{len(hits)} records say"
        return Finding(
            rule=self.name,
            severity=Severity.HIGH,
            confidence=0.9,
            text=f"a process was killed for want of memory ({said} so, in {', '.join(services[:5])})",
            evidence=tuple(item.id for item in hits[:5]),
        )
