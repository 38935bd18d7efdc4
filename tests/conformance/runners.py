"""
What runs a scenario: nothing, or one of the event loops.
"""

from __future__ import annotations

import asyncio
from functools import partial

import anyio
import trio
import uvloop

from tests.conformance.boundary import Scenario


def without_loop(scenario: Scenario) -> None:
    """Run *scenario*, which waits by blocking only."""
    steps = scenario().__await__()
    try:
        next(steps)
    except StopIteration:
        return
    raise RuntimeError("a scenario without an event loop has nothing to await")


def on_asyncio(scenario: Scenario) -> None:
    """Run *scenario* on asyncio's own event loop."""
    asyncio.run(scenario())  # type: ignore[arg-type]


def on_uvloop(scenario: Scenario) -> None:
    """Run *scenario* on uvloop."""
    uvloop.run(scenario())  # type: ignore[arg-type]


def on_trio(scenario: Scenario) -> None:
    """Run *scenario* on trio."""
    trio.run(scenario)


on_anyio_asyncio = partial(anyio.run, backend="asyncio")
on_anyio_trio = partial(anyio.run, backend="trio")
