"""Where the stages compute: beside the event loop in a running sidecar, in the caller's own thread in a replay.

A tick over half a million records computes for seconds; on the loop, no page would answer meanwhile. polars leaves
Python's lock while it works, and what is Python of ours gives it up every few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# More would only wait for Python's lock. A project's tick uses one at a time, so what its stages remember is never
# touched by two.
_THREADS = 2
_POOL = ThreadPoolExecutor(_THREADS, thread_name_prefix="stage")


class Run(Protocol):
    """Calls a function that computes and neither waits nor touches the store."""

    async def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


async def here(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """In the caller's thread."""
    return function(*args, **kwargs)


async def beside(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """In one of two threads of the process; whoever comes third waits. A caller that is cancelled leaves the call to
    run to its end, so what it works on must then be thrown away."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, partial(function, *args, **kwargs))
