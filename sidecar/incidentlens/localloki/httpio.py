"""Requests and answers in the form Loki's HTTP API has them."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from .gotext import GoError, quote

TEXT = "text/plain; charset=utf-8"
JSON_UPPER = "application/json; charset=UTF-8"
JSON_LOWER = "application/json; charset=utf-8"
JSON_BARE = "application/json"
YAML = "application/yaml"

_MAX_FORM = 10 << 20
_HEX = frozenset("0123456789abcdefABCDEF")


class ApiError(Exception):
    """An answer that is no success. `line_feed`: whether the text ends with one (Go's `http.Error` adds it)."""

    def __init__(self, status: int, text: str, *, line_feed: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.line_feed = line_feed

    def response(self) -> Response:
        """The answer itself."""
        return text_response(self.status, self.text + ("\n" if self.line_feed else ""), nosniff=True)


def text_response(status: int, text: str, *, nosniff: bool = False, media_type: str = TEXT) -> Response:
    """A text; `nosniff` for errors, as Go's `http.Error` sets it."""
    headers = {"X-Content-Type-Options": "nosniff"} if nosniff else None
    return Response(text.encode("utf-8", "surrogateescape"), status, headers, media_type=media_type)


def json_response(value: Any, *, media_type: str = JSON_UPPER, status: int = 200, line_feed: bool = True) -> Response:
    """A JSON answer; most of Loki's end with a line feed."""
    return raw_json(orjson.dumps(value), media_type=media_type, status=status, line_feed=line_feed)


def raw_json(body: bytes, *, media_type: str = JSON_UPPER, status: int = 200, line_feed: bool = True) -> Response:
    """A JSON answer that is bytes already."""
    return Response(body + b"\n" if line_feed else body, status, media_type=media_type)


class Form(dict[str, list[str]]):
    """The parameters of a request: those of the body first, then those of the address."""

    def first(self, name: str) -> str:
        """The first value, or the empty text."""
        values = self.get(name)
        return values[0] if values else ""


def _unescape(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    out = bytearray()
    raw = text.encode("utf-8", "surrogateescape")
    at = 0
    while at < len(raw):
        char = raw[at]
        if char == 0x25:
            digits = raw[at + 1 : at + 3].decode("latin-1")
            if len(digits) < 2 or not _HEX.issuperset(digits):
                bad = raw[at : at + 3].decode("utf-8", "replace")
                raise ApiError(400, f"invalid URL escape {quote(bad)}")
            out.append(int(digits, 16))
            at += 3
        else:
            out.append(0x20 if char == 0x2B else char)
            at += 1
    return out.decode("utf-8", "replace")


def parse_form(text: str, into: Form) -> None:
    """Read `a=b&c=d`; raises ApiError on a broken escape."""
    for part in text.split("&"):
        if not part or ";" in part:
            continue
        name, _, value = part.partition("=")
        into.setdefault(_unescape(name), []).append(_unescape(value))


async def read_form(request: Request) -> Form:
    """All parameters of a request. Raises ApiError when they cannot be read."""
    form = Form()
    if request.method in ("POST", "PUT", "PATCH"):
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media == "application/x-www-form-urlencoded":
            body = await read_body(request, _MAX_FORM)
            parse_form(body.decode("utf-8", "surrogateescape"), form)
    parse_form(request.url.query, form)
    return form


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request; raises ApiError 413 when it is longer than `limit` bytes."""
    out = bytearray()
    async for part in request.stream():
        out += part
        if len(out) > limit:
            raise ApiError(413, f"request body too large: message size larger than max ({len(out)} vs {limit})")
    return bytes(out)


def as_api_error(error: GoError) -> ApiError:
    """A parameter that could not be read."""
    return ApiError(400, str(error))
