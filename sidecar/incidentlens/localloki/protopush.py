"""Bodies: their compression, and the protobuf push."""

from __future__ import annotations

import zlib

import cramjam

from .gotext import GoError, decode_utf8, quote
from .labels import parse_labels
from .limits import SECOND
from .records import PushEntry, PushStream
from .wire import new_message, read_message

__all__ = ["BodyTooLarge", "decode_proto_push", "decompress", "encode_proto_push"]

_STEP = 1 << 20


class BodyTooLarge(GoError):
    """A body over the limit, packed or unpacked."""


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    """Unpack gzip or deflate, several members one after another, up to `limit` bytes."""
    out: list[bytes] = []
    size = 0
    rest = body
    while rest:
        unpacker = zlib.decompressobj(wbits)
        while not unpacker.eof:
            try:
                part = unpacker.decompress(rest, _STEP)
            except zlib.error as error:
                header = not out and size == 0 and "header" in str(error)
                raise GoError("gzip: invalid header" if header else "unexpected EOF") from None
            size += len(part)
            if size > limit:
                raise BodyTooLarge(f"message size larger than max ({size} vs {limit})")
            out.append(part)
            rest = unpacker.unconsumed_tail
            if not part and not rest and not unpacker.eof:
                raise GoError("unexpected EOF")
        rest = unpacker.unused_data
        if wbits < 0:
            break
    return b"".join(out)


def decompress(body: bytes, encoding: str, limit: int, *, otlp: bool = False) -> bytes:
    """Undo a Content-Encoding. Raises GoError with Loki's text, BodyTooLarge beyond `limit` bytes."""
    if encoding == "":
        return body
    if encoding == "gzip":
        if len(body) < 10:
            raise GoError("unexpected EOF" if body else "EOF")
        return _inflate(body, 31, limit)
    if not otlp and encoding == "deflate":
        return _inflate(body, -15, limit)
    if not otlp and encoding == "snappy":
        return body  # the body is undone where protobuf is read
    if otlp and encoding in ("zstd", "lz4"):
        packer = cramjam.zstd if encoding == "zstd" else cramjam.lz4
        try:
            out = bytearray()
            reader = packer.Decompressor()
            for begin in range(0, len(body), _STEP // 16):
                reader.decompress(body[begin : begin + _STEP // 16])
                out += bytes(reader.flush())
                if len(out) > limit:
                    raise BodyTooLarge(f"message size larger than max ({len(out)} vs {limit})")
            out += bytes(reader.finish())
        except cramjam.DecompressionError as error:
            raise GoError(str(error)) from None
        return bytes(out)
    if otlp:
        raise GoError(f"unsupported content encoding {encoding}: only gzip, lz4 and zstd are supported")
    raise GoError(f"Content-Encoding {quote(encoding)} not supported")


def _snappy(body: bytes, limit: int) -> bytes:
    size = shift = 0
    for index, byte in enumerate(body[:5]):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
        if index == 4:
            raise GoError("snappy: corrupt input")
    else:
        raise GoError("snappy: corrupt input")
    if size > limit:
        raise BodyTooLarge(f"message size larger than max ({size} vs {limit})")
    try:
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError:
        raise GoError("snappy: corrupt input") from None


def decode_proto_push(body: bytes, limit: int) -> list[PushStream]:
    """The streams of a protobuf push packed with snappy. Raises GoError with Loki's text."""
    request = read_message("PushRequest", _snappy(body, limit))
    out: list[PushStream] = []
    for stream in request.streams:
        try:
            labels = parse_labels(decode_utf8(stream.labels))
        except GoError as error:
            raise GoError(f"couldn't parse labels: {error}") from None
        entries = [
            PushEntry(
                entry.timestamp.seconds * SECOND + entry.timestamp.nanos,
                decode_utf8(entry.line),
                {decode_utf8(pair.name): decode_utf8(pair.value) for pair in entry.metadata},
            )
            for entry in stream.entries
        ]
        out.append(PushStream(labels, entries))
    return out


def encode_proto_push(streams: list[tuple[str, list[PushEntry]]]) -> bytes:
    """A push body as shippers send it: `(labels text, entries)` to protobuf, packed with snappy."""
    request = new_message("PushRequest")
    for labels, entries in streams:
        stream = request.streams.add(labels=labels.encode())
        for ts, line, metadata in entries:
            entry = stream.entries.add(line=line.encode())
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(ts, SECOND)
            for name, value in metadata.items():
                entry.metadata.add(name=name.encode(), value=value.encode())
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))
