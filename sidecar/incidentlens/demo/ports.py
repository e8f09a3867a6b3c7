"""Free ports of 127.0.0.1."""

from __future__ import annotations

import socket

from .children import DemoError


def free_port(wanted: int) -> int:
    """`wanted`, or a free port of 127.0.0.1 where that one is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise DemoError("no free port on 127.0.0.1")
