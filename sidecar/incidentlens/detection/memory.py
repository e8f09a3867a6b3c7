"""The detector's state: decoded where it is touched, bounded, and given back only where it changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from incidentlens.model.clock import MINUTE

from .keys import Key, Service, key_name, service_name
from .seasons import Hours

_CLOCK = "g:clock"
_HOURS = "g:hours"
_MAX_SERVICES = 10_000
_YOUNG = 5.0  # observed minutes; until then a service that turns up was there before, only silent


@dataclass(slots=True)
class Clock:
    """Observed time, which stands still while nothing is watched."""

    minutes: float = 0.0
    at: int = 0  # the newest bucket or tick
    base: float = 0.0  # minutes that are history even where the window is not over: what was learned
    learned: bool = False  # the cold start is over
    dropped: int = 0
    loose: bool = False  # what was learned last may be of any time: the next records set the clock
    hours: Hours = field(default_factory=Hours)  # what was watched; kept beside the rest

    def begin(self, first: int, skipped: int, window: int) -> None:
        """Before records from `first` (ns) on are looked at; a baseline of another day sets no clock for them.

        Between two calls all time counts as observed but the `skipped` part of it (ns), which nobody read.
        """
        if self.loose and abs(first - self.at) > window:
            self.at = first
        elif skipped > 0 and self.at:
            self.at = max(self.at, min(first, self.at + skipped))
        self.loose = False

    def advance(self, to: int) -> None:
        """Move to `to` (ns)."""
        if self.at and to > self.at:
            self.minutes += (to - self.at) / MINUTE
        if to > self.at:
            self.hours.watch(self.at or to, to)
        self.at = max(self.at, to)

    def encode(self) -> bytes:
        return orjson.dumps([self.minutes, self.at, self.base, self.learned, self.dropped, self.loose])


class Memory:
    """Keys, services and the clock."""

    def __init__(self, state: dict[str, bytes], max_keys: int) -> None:
        self._raw = {name: value for name, value in state.items() if name.startswith("k:") and value}
        self._keys: dict[str, Key] = {}
        self._services = {
            service.name: service
            for service in (Service.decode(value) for name, value in state.items() if name.startswith("s:") and value)
        }
        self._max_keys = max_keys
        self._dirty_keys: set[str] = set()
        self._dirty_services: set[str] = set()
        self._gone: set[str] = set()
        self.clock = Clock(*orjson.loads(state[_CLOCK])) if state.get(_CLOCK) else Clock()
        self.clock.hours = Hours(orjson.loads(state.get(_HOURS) or b"[]"))

    def begin_call(self) -> None:
        """Make room, once a call."""
        if len(self._keys) + len(self._raw) > self._max_keys:
            self._evict()

    def key(self, service: str, signature: str, *, change: bool = True) -> Key | None:
        """The key, marked as changed unless it is only looked at; None where it is not known."""
        name = key_name(service, signature)
        found = self._keys.get(name)
        if found is None and name in self._raw:
            found = self._keys[name] = Key.decode(self._raw.pop(name))
        if found is not None and change:
            self._dirty_keys.add(name)
        return found

    def add(self, key: Key) -> None:
        if len(self._keys) + len(self._raw) >= self._max_keys + self._max_keys // 10:
            self._evict()
        name = key_name(key.service, key.signature)
        self._keys[name] = key
        self._dirty_keys.add(name)
        self._gone.discard(name)

    def service(self, name: str, first_seen: int) -> Service:
        """The service, begun where it is not known, marked as changed."""
        found = self._services.get(name)
        if found is None:
            since = self.clock.minutes if self.clock.minutes > _YOUNG else 0.0
            found = Service(name=name, first_seen=first_seen, since=since)
            if len(self._services) < _MAX_SERVICES:
                self._services[name] = found
            else:
                self.clock.dropped += 1
        self._dirty_services.add(name)
        return found

    def service_names(self) -> frozenset[str]:
        return frozenset(self._services)

    def services(self) -> Iterable[Service]:
        return self._services.values()

    def touched_keys(self) -> Iterable[Key]:
        return (self._keys[name] for name in self._dirty_keys if name in self._keys)

    def touched_services(self) -> Iterable[Service]:
        return (self._services[name] for name in self._dirty_services if name in self._services)

    def changed(self) -> dict[str, bytes]:
        """What changed since the last call; an empty value: forget it."""
        out = {name: self._keys[name].encode() for name in self._dirty_keys if name in self._keys}
        out |= {
            service_name(name): self._services[name].encode() for name in self._dirty_services if name in self._services
        }
        out |= dict.fromkeys(self._gone, b"")
        out[_CLOCK] = self.clock.encode()
        out[_HOURS] = orjson.dumps(self.clock.hours.ranges)
        self._dirty_keys.clear()
        self._dirty_services.clear()
        self._gone.clear()
        return out

    def _evict(self) -> None:
        """Forget the keys unseen for longest until a tenth of the room is free; those in a span last."""
        for name, value in self._raw.items():
            self._keys[name] = Key.decode(value)
        self._raw.clear()
        surplus = len(self._keys) - self._max_keys * 9 // 10
        if surplus <= 0:
            return
        order = sorted(self._keys, key=lambda name: (self._keys[name].span is not None, self._keys[name].last_seen))
        for name in order[:surplus]:
            del self._keys[name]
            self._dirty_keys.discard(name)
            self._gone.add(name)
        self.clock.dropped += surplus
