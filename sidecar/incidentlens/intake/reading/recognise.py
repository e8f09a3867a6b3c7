"""Which formats a stream is written in, told from a sample of its lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import re2

from . import header, logfmt, structured
from .formats import KNOWN, WEAK, Known
from .header import ungrouped
from .node import HeaderNode, Node

_ROUNDS = 6  # formats mixed in one stream
_DEPTH = 3  # wrappers around wrappers
_CUT = 4000  # characters of a line that tell its format (JSON is taken whole)
SAMPLE = 96


def _probes(group: tuple[Known, ...]) -> Any:
    """The headers of a group as one automaton."""
    found = re2.Set.SearchSet()
    for known in group:
        found.Add(ungrouped(known.node.pattern))
    found.Compile()
    return found


@dataclass(frozen=True)
class Layer:
    """A format of a stream, and the formats of what it wraps. A `spare` one takes lines that lack fields."""

    node: Node
    inner: tuple[Layer, ...] = ()
    spare: bool = False

    @property
    def key(self) -> str:
        return f"{self.node.key}\x01{[layer.key for layer in self.inner]}"


def recognise(lines: Sequence[str], depth: int = 0, more: bool = False) -> tuple[Layer, ...]:
    """The formats of a stream, from a sample of its lines, the commonest first. Empty for plain text.

    `more`: these are the lines that the stream's known formats leave over.
    """
    left = [line for line in lines if line and not line.isspace()]
    layers: list[Layer] = []
    spares: list[Layer] = []
    for _ in range(_ROUNDS):
        if not left:
            break
        found = _best(left, slight=not layers and not more)
        if found is None:
            break
        node, read = found
        taken = read["head"].to_list()
        if not any(taken):
            break
        said = [text for text, head in zip(read["message"].to_list(), taken, strict=True) if head and text]
        layers.append(Layer(node, _inner(node, said, depth)))
        if isinstance(node, HeaderNode) and node.name == "stamped":
            spares += [Layer(spare, (), True) for spare in header.spares(node)]
        left = [line for line, head in zip(left, taken, strict=True) if not head]
    return tuple(layers) + tuple(spares)


def _inner(node: Node, said: list[str], depth: int) -> tuple[Layer, ...]:
    """The formats of the messages, where these are lines of their own."""
    if depth >= _DEPTH or not said:
        return ()
    if node.wrapper:
        return recognise(said, depth + 1)
    objects = sum(1 for text in said if _is_object(text))
    pairs = sum(1 for text in said if logfmt.PROBE.search(text[:_CUT]) and "level=" in text)
    if max(objects, pairs) * 5 >= len(said) * 4:
        return recognise(said, depth + 1)
    if node.name in ("json", "syslog", "syslog5424"):
        # A shipper's object around a line that has a header of its own.
        if any(count * 5 >= len(said) * 4 for count, _ in _reach(KNOWN, [text[:_CUT] for text in said])):
            return recognise(said, depth + 1)
        learnt = header.learn(said)
        if learnt is not None and _read(learnt, said)["head"].sum() * 5 >= len(said) * 4:
            return recognise(said, depth + 1)
        return _mixed(said)
    return ()


def _mixed(said: list[str]) -> tuple[Layer, ...]:
    """The named formats of some messages: many programs write to one syslog, each in its own way."""
    few = max(1, len(said) // 20)
    found = [(count, node) for count, node in _reach(KNOWN, [text[:_CUT] for text in said]) if count >= few]
    objects = [item for text in said if _is_object(text) and (item := structured.decode(text)) is not None]
    if len(objects) >= few:
        found.append((len(objects), structured.node_of(objects)))
    ordered = sorted(found, key=lambda item: -item[0])
    return tuple(Layer(node) for _, node in ordered[:_ROUNDS] if not node.wrapper)


def _is_object(text: str) -> bool:
    return text.lstrip()[:1] == "{" and text.rstrip()[-1:] == "}"


def _read(node: Node, lines: list[str]) -> dict[str, pl.Series]:
    zero = pl.Series([0], dtype=pl.Int64).new_from_index(0, len(lines))
    return node.read(pl.Series("line", lines, dtype=pl.String), zero)


def _best(left: list[str], slight: bool) -> tuple[Node, dict[str, pl.Series]] | None:
    """The format that most of these lines have, and the lines read by it.

    A named one goes before a learnt one of about the same reach.
    """
    objects = [found for line in left if _is_object(line) and (found := structured.decode(line)) is not None]
    if len(objects) * 2 >= len(left):
        whole = structured.node_of(objects)
        return whole, _read(whole, left)
    cut = [line[:_CUT] for line in left]
    reach = _reach(KNOWN, cut)
    pairs = [line for line in cut if logfmt.PROBE.search(line)]
    best_count, best = max(reach, key=lambda item: item[0], default=(0, None))
    if len(pairs) > best_count:
        best_count, best = len(pairs), logfmt.node_of(pairs)
    if len(objects) > best_count:
        best_count, best = len(objects), structured.node_of(objects)
    learnt = header.learn(cut) if best_count * 10 < len(left) * 8 else None
    if learnt is not None:
        read = _read(learnt, left)
        count = int(read["head"].sum())
        # What several named formats take together counts as one: each of them is read in its turn.
        named = sum(1 for line in cut if _PROBES[id(KNOWN)].Match(line))
        if count * 4 > max(best_count, named) * 5:
            return learnt, read
    if best is None and slight:
        _, best = max(_reach(WEAK, cut), key=lambda item: item[0], default=(0, None))
    return None if best is None else (best, _read(best, left))


_PROBES = {id(group): _probes(group) for group in (KNOWN, WEAK)}


def _reach(group: tuple[Known, ...], lines: list[str]) -> list[tuple[int, Node]]:
    """The formats of a group that the lines have, with the number of lines that have each."""
    probes = _PROBES[id(group)]
    count: Counter[int] = Counter()
    for line in lines:
        count.update(probes.Match(line))
    return [
        (count[number], known.node)
        for number, known in enumerate(group)
        if count[number] and count[number] >= known.share * len(lines)
    ]
