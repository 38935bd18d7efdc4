"""
Claims: what must hold on every boundary.

Each is asked of a boundary that was opened inside a request of somebody else, and that has crossed for alice already
where bob is asked about.
"""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Awaitable, Callable
from time import monotonic

import pytest

import otelctx
from otelctx.core.state import current_request
from tests.conformance import jobs
from tests.conformance.boundary import CLAIMS, Boundary, Crossing

# Only a failing cell waits this long: a worker may let go of a job an instant after it has delivered the result.
SECONDS = 5.0


async def value(_: Boundary, other: Crossing) -> None:
    with otelctx.request(user_id="alice"):
        assert "alice" == await other.cross(jobs.user_id)


async def second(_: Boundary, other: Crossing) -> None:
    with otelctx.request(user_id="alice"):
        await other.cross(jobs.user_id)
    with otelctx.request(user_id="bob"):
        assert "bob" == await other.cross(jobs.user_id)


async def set_(_: Boundary, other: Crossing) -> None:
    with otelctx.request(user_id="alice"):
        await other.cross(jobs.set_user, "carol")
        assert "carol" == other.back().get("user_id")


async def bind(boundary: Boundary, other: Crossing) -> None:
    with otelctx.request(user_id="alice"):
        await other.cross(jobs.bind if boundary.inline else jobs.bind_and_leave_open)
        assert "step" not in other.back()
        assert await other.cross(jobs.step) is None


async def clean(boundary: Boundary, other: Crossing) -> None:
    with otelctx.request(user_id="alice"):
        watch = await other.cross(_Watch) if boundary.opens else _Watch()
        await other.cross(jobs.user_id)
    await _assert_nothing_remains(boundary, other, watch)


async def exception(_: Boundary, other: Crossing) -> None:
    with otelctx.request(user_id="alice"):
        with pytest.raises(jobs.BoomError):
            await other.cross(jobs.boom)
        assert "alice" == otelctx.get("user_id")
    with otelctx.request(user_id="bob"):
        await other.cross(jobs.user_id)
        assert "bob" == otelctx.get("user_id")


async def cancel(boundary: Boundary, other: Crossing) -> None:
    assert other.cancel is not None, "a row without a way to cancel says why"
    with otelctx.request(user_id="alice"):
        watch = _Watch()
        await other.cancel()
        assert "alice" == otelctx.get("user_id")
    with otelctx.request(user_id="bob"):
        assert ("bob" if boundary.carries else None) == await other.cross(jobs.user_id)
    await _assert_nothing_remains(boundary, other, watch)


async def vars_(_: Boundary, other: Crossing) -> None:
    token = jobs.VARIABLE.set("mine")
    try:
        assert "mine" == await other.cross(jobs.variable)
    finally:
        jobs.VARIABLE.reset(token)


async def none(boundary: Boundary, other: Crossing) -> None:
    await _assert_nobody_is_there(boundary, other)
    with otelctx.request(user_id="alice"):
        assert boundary.carries == await other.cross(jobs.request_is_open)
    await _assert_nobody_is_there(boundary, other)


class _Watch:
    """Tells when nobody holds the current request any more."""

    def __init__(self) -> None:
        request = current_request()
        assert request is not None
        self._gone = gone = threading.Event()
        self._reference = weakref.ref(request, lambda _: gone.set())

    def is_gone(self) -> bool:
        # A worker may let go of it only after a collection, so one is not enough.
        deadline = monotonic() + SECONDS
        while not self._gone.wait(0.05) and monotonic() < deadline:
            gc.collect()
        return self._gone.is_set()


async def _assert_nobody_is_there(boundary: Boundary, other: Crossing) -> None:
    assert boundary.opens == await other.cross(jobs.request_is_open)
    assert await other.cross(jobs.user_id) is None


async def _assert_nothing_remains(boundary: Boundary, other: Crossing, watch: _Watch) -> None:
    # One more crossing, so that a worker that keeps its last job until the next one has had a next one.
    await _assert_nobody_is_there(boundary, other)
    if other.bare is not None:
        assert not await other.bare(jobs.request_is_open)
    assert watch.is_gone(), "somebody still holds the request after it has ended"


_BY_ID: dict[str, Callable[[Boundary, Crossing], Awaitable[None]]] = {
    "value": value,
    "second": second,
    "set": set_,
    "bind": bind,
    "clean": clean,
    "exception": exception,
    "cancel": cancel,
    "vars": vars_,
    "none": none,
}
assert _BY_ID.keys() == CLAIMS.keys()


class _Records(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def check(boundary: Boundary, claim: str) -> None:
    """Raise unless *claim* holds on *boundary*."""

    log = _Records()

    async def scenario() -> None:
        opening = boundary.open()
        with otelctx.request(user_id="opener"):
            other = await opening.__aenter__()
        try:
            await _BY_ID[claim](boundary, other)
        finally:
            await opening.__aexit__(None, None, None)

    logger = logging.getLogger("opentelemetry")
    logger.addHandler(log)
    try:
        boundary.run(scenario)
    finally:
        logger.removeHandler(log)
    assert [] == log.messages, "OpenTelemetry complains, as of a context that was not its own to detach"
