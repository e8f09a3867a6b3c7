"""What a line says of itself when its level does not: failure words, and words that no level outweighs."""

from __future__ import annotations

from functools import lru_cache

import re2

from incidentlens.model.terms import Level

# Somebody died, or is about to: counts whatever the level says.
_DEADLY = re2.compile(
    r"(?i)\b(oom[- ]?kill(ed|er|ing)?|out of memory|outofmemory(error|exception)?|stack ?overflow(error|exception)?|"
    r"kernel panic|panic:|segmentation fault|segfault|core dumped|sigsegv|sigabrt|killed process|"
    r"crash ?loop ?back ?off|imagepullbackoff|errimagepull|evicted|data loss|corrupt(ed|ion)|"
    r"no space left on device|disk full|(liveness|readiness|startup) probe failed|back-off restarting)\b"
)
# Something was thrown: counts even in a line of level info.
_THROWN = re2.compile(
    r"(?i:traceback \(most recent call last\)|\bunhandled (exception|rejection|error)\b|"
    r"\buncaught (exception|error)\b|\bdeadlock (detected|found)\b)|"
    r"\b[A-Z][A-Za-z0-9.]*(Exception|Error)\b(: | at |\)|$)"
)
# Good enough for a line without a level.
_FAILING = re2.compile(
    r"(?i)\b(fail(ed|ure|ures|ing)?|error|errors|fatal|critical|exception|undefined|unable to|cannot|can't|could not|"
    r"couldn't|refused|denied|unauthori[sz]ed|forbidden|timed[ -]?out|time-?out|unreachable|unavailable|not found|"
    r"no such|missing|invalid|unexpected|syntax error|expired|exhausted|exceeded|aborted|broken pipe|"
    r"connection reset|rejected|crash(ed|ing)?|killed|oom|panic|overflow|violat(es|ion|ed))\b"
)
# "0 errors", "no failures", "error=0": said of success.
_HARMLESS = re2.compile(
    r"(?i)\b(no|0|zero|without( any)?) (new )?(error|errors|failure|failures|exception|exceptions)\b|"
    r"\b(errors?|failed|failures?|exceptions?|timeouts?)\W{0,2}[=: ] ?(0|none|null|false|\"\"|-)(\W|$)"
)
# The line says that it is over.
_RECOVERED = re2.compile(
    r"(?i)\b(resolved|recovered|recovery complete|restored|back to normal|reconnected|healthy again|"
    r"succe(ss|eded|ssfully))\b"
)
# A change somebody made: not a failure, but what failures often follow.
_CHANGE = re2.compile(
    r"(?i)\b(config(uration)?|settings?|feature flag|flag|limit|secret|certificate|deployment|deploy(ed|ing)?|release|"
    r"version|rollout|replica ?set|migration|schema|scal(ed|ing))\b.{0,60}"
    r"\b(chang(e|ed|ing)|updat(e|ed|ing)|appl(y|ied)|reload(ed|ing)?|set to|lowered|raised|reduced|rolled|"
    r"roll(ing|ed)? ?(out|back)|"
    r"activated|toggled|start(ed|ing)|complete[d]?|from .{1,30} to)\b|"
    r"\b(deploying|deployed|rolling out|rolled out|applied|applying|reloaded|reloading) .{0,60}"
    r"\b(config(uration)?|version|release|revision|image|deployment|manifest|chart|build|v\d)"
)
_MAX = 2_000  # characters looked at


@lru_cache(maxsize=20_000)
def strength(text: str, level: str) -> float:
    """Severity weight of a line: fatal 4, error 3, warn 1.5, otherwise by its words; 0 for harmless.

    A line of level info counts only with words that leave no doubt; one without a level also with ordinary ones.
    """
    head = text[:_MAX]
    if level == Level.FATAL:
        return 4.0
    if level == Level.ERROR:
        return 3.5 if _DEADLY.search(head) else 3.0
    if level == Level.WARN:
        return 2.5 if _DEADLY.search(head) else 1.5
    if level in (Level.DEBUG, Level.TRACE) or _HARMLESS.search(head) or _RECOVERED.search(head):
        return 0.0
    if _DEADLY.search(head):
        return 3.0
    if _THROWN.search(head):
        return 2.5
    return 2.0 if level == Level.UNKNOWN and _FAILING.search(head) else 0.0


def says_change(text: str) -> bool:
    """True where the line tells of a deploy or a change of configuration."""
    return bool(_CHANGE.search(text[:_MAX]))
