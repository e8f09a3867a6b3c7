"""When two problems have something to do with each other, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import re2

from incidentlens.model.incidents import Problem
from incidentlens.model.terms import ProblemKind
from incidentlens.model.times import duration

from .settings import GroupingSettings

_EXCEPTION = re2.compile(r"\b((?:[a-z][\w]*\.)*[A-Z]\w*(?:Exception|Error|Fault))\b(?::\s*([^\n]{0,160}))?")
_VARIABLE = re2.compile(r"[0-9a-f]{8,}|\d+")
# Thrown in every program for every reason: that two services throw one says nothing.
_COMMON = frozenset(
    {
        "Exception",
        "Error",
        "RuntimeException",
        "IllegalStateException",
        "IllegalArgumentException",
        "NullPointerException",
        "TypeError",
        "ValueError",
        "KeyError",
        "AttributeError",
        "NestedServletException",
        "ServletException",
        "IOException",
        "HttpClientErrorException",
        "HttpServerErrorException",
    }
)
_LEVEL = re2.compile(r"^\W{0,2}(?:FATAL|CRITICAL|ERROR|WARN(?:ING)?|INFO|DEBUG)\W{1,3}")
_MAX_PARTS, _LEAST_QUOTE = 6, 20
_VAGUE = frozenset({"app", "misc", "other", "unknown", "general", "http"})


@dataclass(frozen=True, slots=True)
class Relation:
    """Why two problems belong together; the strongest reason there is. `strength` 0 to 1."""

    strength: float
    why: str


def relation(new: Problem, old: Problem, settings: GroupingSettings) -> Relation | None:
    """The strongest reason why `new` belongs to `old`, or None. Time is a condition, never a reason by itself."""
    gap = max(new.onset, old.onset) - min(new.last_seen, old.last_seen)
    if gap > settings.window:
        return None
    if shared := len(set(new.trace_ids) & set(old.trace_ids)):
        traces = "a trace" if shared == 1 else f"{shared} traces"
        return Relation(1.0, f"shares {traces} with {_called(old)}")
    if abs(new.onset - old.onset) > settings.onset_window:
        return None
    return max(_weaker(new, old, settings), key=lambda found: found.strength, default=None)


def _weaker(new: Problem, old: Problem, settings: GroupingSettings) -> Iterator[Relation]:
    if new.service != old.service:
        if old.service in new.mentions:
            yield Relation(0.9, f"its lines name {old.service}, where {_quoted(old)} began {_apart(new, old)}")
        if new.service in old.mentions:
            yield Relation(0.9, f"named by the lines of {old.service}; began {_apart(new, old)} {_called(old)}")
        if old.service in settings.dependencies.get(new.service, ()):
            yield Relation(0.7, f"{new.service} depends on {old.service}; began {_apart(new, old)} {_called(old)}")
        if new.service in settings.dependencies.get(old.service, ()):
            yield Relation(0.7, f"{old.service} depends on {new.service}; began {_apart(new, old)} {_called(old)}")
        if shared := sorted(set(new.mentions) & set(old.mentions) - {new.service, old.service}):
            yield Relation(0.7, f"both name {shared[0]}, as does {_called(old)}")
        yield from _quoted_by(new, old)
        if abs(new.onset - old.onset) <= settings.together:
            yield from _by_calls(new, old, settings)
        if (thrown := exception_of(new)) and thrown == exception_of(old):
            yield Relation(0.8, f"the same exception as {_called(old)}: {thrown}")
        return
    if new.signature == old.signature:
        yield Relation(1.0, f"{_called(old)} again")
        return
    if (thrown := exception_of(new)) and thrown == exception_of(old):
        yield Relation(0.8, f"the same exception as {_called(old)}: {thrown}")
    family = new.signature.partition(":")[0]
    if ":" in new.signature and family == old.signature.partition(":")[0] and family not in _VAGUE:
        yield Relation(0.6, f"of the same family ({family}) in the same service as {_called(old)}")
    if ProblemKind.ALERT in (new.kind, old.kind):
        yield Relation(0.6, f"in the service of {_called(old)} at the same time")
    dated = new.baseline_per_minute > 0 and old.baseline_per_minute > 0  # without history an onset means nothing
    if dated and abs(new.onset - old.onset) <= settings.together:
        yield Relation(0.5, f"in the same service, began {_apart(new, old)} {_called(old)}")


def exception_of(problem: Problem) -> str | None:
    """The innermost exception that a problem's lines state, with what it says, numbers masked; None for common ones."""
    for sample in problem.samples[:3]:
        last = None
        for match in _EXCEPTION.finditer(sample.line[:8_000]):
            name, said = match.group(1), (match.group(2) or "").strip()
            if name.rsplit(".", 1)[-1] not in _COMMON or len(said) > 20:
                last = f"{name}: {_VARIABLE.sub('#', said)}" if said else name
        if last:
            return last[:200]
    return None


def quotations(problem: Problem) -> frozenset[str]:
    """The innermost parts of what a problem says (after each colon, numbers masked), long enough to be its own."""
    found = set()
    for sample in problem.samples[:3]:
        rest = _whole(sample.message)
        for _ in range(_MAX_PARTS):
            if len(rest) >= _LEAST_QUOTE and rest.count(" ") >= 3:
                found.add(rest)
            _, colon, rest = rest.partition(": ")
            if not colon:
                break
    return frozenset(found)


def origin_quoted(outer: Problem, inner: Problem) -> str | None:
    """What `outer` quotes of `inner`: all that `inner` says, as the end of something longer; None where it does not."""
    own = {_whole(sample.message) for sample in inner.samples[:3]}
    longer = {_whole(sample.message) for sample in outer.samples[:3]}
    return next(iter(sorted((quotations(outer) & quotations(inner) & own) - longer)), None)


@lru_cache(maxsize=20_000)
def _whole(message: str) -> str:
    """The first line of a message as compared: without its level, numbers masked."""
    first = " ".join(message[:1_000].split("\n", 1)[0].split())
    return str(_VARIABLE.sub("#", _LEVEL.sub("", first))).strip(" \"'}")


def _by_calls(new: Problem, old: Problem, settings: GroupingSettings) -> Iterator[Relation]:
    """One calls the other, or calls what the other's lines name: a weak reason, for what begins together."""
    for one, other in ((new, old), (old, new)):
        called = settings.calls.get(one.service, ())
        if other.service in called:
            yield Relation(0.6, f"{one.service} calls {other.service}; began {_apart(new, old)} {_called(old)}")
        if named := sorted(set(called) & set(other.mentions) - {one.service}):
            yield Relation(0.6, f"{one.service} calls {named[0]}, which the lines of {other.service} name")


def _quoted_by(new: Problem, old: Problem) -> Iterator[Relation]:
    if origin_quoted(new, old):
        yield Relation(0.85, f"its lines quote what {_called(old)} says")
    elif origin_quoted(old, new):
        yield Relation(0.85, f"quoted by {_called(old)}")


def index_terms(problem: Problem, settings: GroupingSettings) -> Iterator[str]:
    """Terms under which a problem is looked up; two problems that share none are not related."""
    yield f"s:{problem.service}"
    yield from (f"s:{needed}" for needed in settings.dependencies.get(problem.service, ()))
    for name in problem.mentions:
        yield f"s:{name}"
        yield f"m:{name}"
    for trace in problem.trace_ids:
        yield f"t:{trace}"
    yield from (f"s:{called}" for called in settings.calls.get(problem.service, ()))
    if thrown := exception_of(problem):
        yield f"x:{thrown}"
    yield from (f"q:{part}" for part in quotations(problem))


def _called(problem: Problem) -> str:
    return f"{_quoted(problem)} in {problem.service}"


def _quoted(problem: Problem) -> str:
    return f'"{headline(problem.template, 60)}"'


def _apart(new: Problem, old: Problem) -> str:
    return f"{duration(abs(new.onset - old.onset))} {'after' if new.onset >= old.onset else 'before'}"


def headline(template: str, limit: int = 100) -> str:
    """A template's first line for people: its variables as an ellipsis, cut at a word."""
    first = " ".join(template.split("\n", 1)[0].replace("<*>", "…").split())
    if len(first) <= limit:
        return first
    cut = first[:limit].rsplit(" ", 1)[0]
    return f"{cut or first[:limit]}…"
