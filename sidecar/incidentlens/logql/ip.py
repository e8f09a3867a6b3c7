"""Addresses in lines and labels: `ip("10.0.0.0/8")`, `ip("10.0.0.1")`, `ip("10.0.0.1-10.0.0.9")`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from .errors import LogQLError
from .units import quote

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_V4 = re.compile(r"[0-9](?=\.|[^.]\.|[^.]{2}\.)", re.DOTALL)
_V4_CHARS = re.compile(r"[0-9.]*+")
_V6 = re.compile(r"::[0-9a-fA-F]|[0-9a-fA-F]{1,4}:")
_V6_CHARS = re.compile(r"[0-9a-fA-F:.]*+")
_START = re.compile(r"[0-9a-fA-F:]")


@lru_cache(maxsize=256)
def compile_ip(pattern: str) -> Callable[[str], bool]:
    """Give a test that says whether a text holds an address that fits.

    Raises:
        LogQLError: the pattern is no address, network or range.
    """
    try:
        contains = _contains(pattern)
    except ValueError:
        message = f"ip: invalid pattern: {quote(pattern)}"
        raise LogQLError(message, hint="write an address, 10.0.0.0/8 or 10.0.0.1-10.0.0.9") from None
    return lambda text: _found(text, contains)


def _contains(pattern: str) -> Callable[[Address], bool]:
    if "/" in pattern:
        address, _, bits = pattern.partition("/")
        if not bits.isascii() or not bits.isdecimal() or (len(bits) > 1 and bits[0] == "0"):
            raise ValueError(pattern)
        network = ipaddress.ip_network((address, int(bits)), strict=False)
        return lambda found: found.version == network.version and found in network
    if "-" in pattern:
        first, _, last = pattern.partition("-")
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
        if low.version != high.version or int(low) > int(high):
            raise ValueError(pattern)
        return lambda found: found.version == low.version and int(low) <= int(found) <= int(high)
    single = ipaddress.ip_address(pattern)
    return lambda found: found == single


def _found(text: str, contains: Callable[[Address], bool]) -> bool:
    position = 0
    while (start := _START.search(text, position)) is not None:
        position = start.start()
        if position + 3 < len(text) and _V4.match(text, position):
            chars = _V4_CHARS
        elif position + 4 < len(text) and _V6.match(text, position):
            chars = _V6_CHARS
        else:
            position += 1
            continue
        end = chars.match(text, position).end()  # type: ignore[union-attr]
        if end - position <= 45:
            try:
                if contains(ipaddress.ip_address(text[position:end])):
                    return True
            except ValueError:
                pass
        position = end + 1
    return False
