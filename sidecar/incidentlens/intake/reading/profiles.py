"""Which formats each stream has: recognised once, kept, and looked at again where lines stop fitting."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import polars as pl

from .recognise import SAMPLE, Layer, recognise

_MAX_STREAMS = 20_000  # formats remembered; the stream longest unread is forgotten first
_MAX_TRIES = 8  # how often a stream is looked at again before it is taken for mixed
_MAX_LAYERS = 24
LONG = 65_536  # characters of a line that are read for its header

# A line that begins with a blank carries on another one or is nothing, so it shows no header, unless a date follows.
_SHOWS = r"^(?:\S|[ \t]{1,8}[0-9]{4}[-/][0-9]{2}[-/][0-9]{2})"
# Labels that tell copies of one writer apart. Streams that differ in nothing else are written alike, so a new pod's
# lines are read as its older sisters' were, and a thousand pods are recognised once.
_COPIES = frozenset(
    [
        "container_id",
        "detected_level",
        "file",
        "filename",
        "host",
        "hostname",
        "instance",
        "ip",
        "level",
        "log_stream",
        "node",
        "node_name",
        "nodename",
        "pid",
        "pod",
        "pod_name",
        "pod_uid",
        "replica",
        "stream",
        "uid",
    ]
)


@dataclass(frozen=True)
class Profile:
    """How a stream is read, and how often it was looked at anew."""

    layers: tuple[Layer, ...]
    tries: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(layer.key for layer in self.layers)

    @property
    def wrapped(self) -> bool:
        return any(layer.node.wrapper for layer in self.layers)


class Profiles:
    """The formats of streams. Its memory is bounded."""

    def __init__(self) -> None:
        self._streams: OrderedDict[str, Profile] = OrderedDict()
        self._writers: OrderedDict[str, tuple[Layer, ...]] = OrderedDict()

    def __getitem__(self, stream: str) -> Profile:
        return self._streams[stream]

    def names(self) -> dict[str, tuple[str, ...]]:
        """The names of the formats recognised so far, by stream."""
        return {
            stream: tuple(dict.fromkeys(layer.node.name for layer in profile.layers)) or ("plain",)
            for stream, profile in self._streams.items()
        }

    def meet(self, streams: Sequence[str], owner: pl.Series, text: pl.Series) -> None:
        """Recognise the streams that are new. `owner` gives, for each text, the number of its stream."""
        fresh = {number: _writer(stream) for number, stream in enumerate(streams) if stream not in self._streams}
        unknown = {number: writer for number, writer in fresh.items() if writer not in self._writers}
        if unknown:
            for writer, sample in _samples(unknown, owner, text, len(unknown) == len(streams)).items():
                self._writers[writer] = recognise(sample)
        for number, writer in fresh.items():
            self._streams[streams[number]] = Profile(self._writers.get(writer, ()))
            if writer in self._writers:
                self._writers.move_to_end(writer)
        for stream in streams:
            self._streams.move_to_end(stream)
        for kept in (self._streams, self._writers):
            while len(kept) > max(_MAX_STREAMS, len(streams)):
                kept.popitem(last=False)

    def extend(self, streams: Sequence[str], bodies: pl.Series, mostly_fit: bool) -> tuple[Layer, ...]:
        """Look again at streams that share a profile, for lines of theirs that do not fit it; gives what is new.

        `mostly_fit`: most lines of the streams do fit.
        """
        able = [stream for stream in streams if self._may_grow(self._streams[stream])]
        if not able:
            return ()
        profile = self._streams[able[0]]
        loose = bodies.filter(bodies.str.contains(_SHOWS))
        if mostly_fit and len(loose) > 20:
            return ()  # the odd lines of well understood streams
        found = () if profile.wrapped else recognise(spread(loose, SAMPLE), more=bool(profile.layers))
        known = set(profile.key)
        added = tuple(layer for layer in found if layer.key not in known)
        layers = (*full(profile.layers), *full(added), *spare(profile.layers), *spare(added))[:_MAX_LAYERS]
        for stream in able:
            before = self._streams[stream]
            self._streams[stream] = Profile(layers if added else before.layers, before.tries + 1)
            if added:
                self._writers[_writer(stream)] = layers
        return added

    @staticmethod
    def _may_grow(profile: Profile) -> bool:
        return profile.tries < _MAX_TRIES and len(profile.layers) < _MAX_LAYERS


def _writer(stream: str) -> str:
    """What a stream's labels say of its writer, without what tells its copies apart."""
    try:
        labels = orjson.loads(stream)
    except orjson.JSONDecodeError:
        return stream
    if not isinstance(labels, dict):
        return stream
    kept = {name: value for name, value in labels.items() if name not in _COPIES}
    # Labels that name copies alone name no writer.
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode() if kept else stream


def _samples(writers: dict[int, str], owner: pl.Series, text: pl.Series, every: bool) -> dict[str, list[str]]:
    """Lines of each writer: its first, and some spread over the rest."""
    table = pl.DataFrame({"owner": owner, "text": text})
    if not every:
        table = table.filter(pl.col("owner").is_in(list(writers)))
    names = pl.DataFrame(
        {"owner": pl.Series(list(writers), dtype=owner.dtype), "writer": pl.Series(list(writers.values()))}
    )
    table = table.filter(pl.col("text").str.contains(_SHOWS)).join(names, on="owner", maintain_order="left")
    line = pl.col("text")
    step = pl.max_horizontal(pl.len() // (SAMPLE // 2), pl.lit(1))
    through = line.filter(pl.int_range(pl.len()) % step == 0).tail(SAMPLE // 2)
    found = table.group_by("writer", maintain_order=True).agg(
        line.head(SAMPLE // 2).str.slice(0, LONG).alias("begin"), through.str.slice(0, LONG).alias("through")
    )
    return {writer: list(dict.fromkeys(begin + rest)) for writer, begin, rest in found.iter_rows()}


def spread(texts: pl.Series, count: int) -> list[str]:
    """The first of these texts and some spread over the rest, no text twice."""
    if len(texts) > count:
        texts = pl.concat([texts.head(count // 2), texts.gather_every(-(-len(texts) // (count // 2)))])
    return list(dict.fromkeys(texts.str.slice(0, LONG).to_list()))


def full(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers that understand a whole header."""
    return tuple(layer for layer in layers if not layer.spare)


def spare(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers for lines that lack some of a header."""
    return tuple(layer for layer in layers if layer.spare)
