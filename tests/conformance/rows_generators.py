"""
Rows: generators that hold a binding and a span around `yield`, consumed by somebody else.

Made in the submitter's request, advanced in another: the steps see what their maker sees, the consumer none of it.
"""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import otelctx
from tests.conformance.boundary import Crossing, Rows, Scenario
from tests.conformance.runners import on_asyncio, on_trio, on_uvloop, without_loop

ROWS = Rows()
generators = partial(ROWS.add, "generators", run=without_loop)

CONSUMERS: Final = dict.fromkeys(
    ("value", "second", "set", "vars"),
    "Python runs an undecorated generator in the context of its consumer; decorate it with `@otelctx.wrap`.",
)

_tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")


def steps(job: Callable[..., Any], *args: Any) -> Generator[Any, Any, None]:
    with _tracer.start_as_current_span("generator") as span, otelctx.bind(part="generator"):
        yield None
        assert trace.get_current_span() is span
        assert "generator" == otelctx.get("part")
        yield job(*args)


async def async_steps(job: Callable[..., Any], *args: Any) -> AsyncGenerator[Any, None]:
    with _tracer.start_as_current_span("generator") as span, otelctx.bind(part="generator"):
        yield None
        assert trace.get_current_span() is span
        assert "generator" == otelctx.get("part")
        yield job(*args)


def _consumed(generator: Generator[Any, Any, None]) -> Any:
    next(generator)
    _assert_untouched()
    result = next(generator)
    _assert_untouched()
    generator.close()
    _assert_untouched()
    return result


def _assert_untouched() -> None:
    assert "generator" != otelctx.get("part")
    assert trace.get_current_span() is trace.INVALID_SPAN


def _made_by(decorate: Callable[[Any], Any]) -> Callable[[], AsyncIterator[Crossing]]:
    async def opened() -> AsyncIterator[Crossing]:
        openers = copy_context()

        async def cross(job: Any, *args: Any) -> Any:
            return openers.run(_consumed, decorate(steps)(job, *args))

        async def cancel() -> None:
            abandoned = decorate(steps)(lambda: None)
            openers.run(next, abandoned)
            del abandoned
            thrown_into = decorate(steps)(lambda: None)
            openers.run(next, thrown_into)
            try:
                openers.run(thrown_into.throw, KeyError())
            except KeyError:
                _assert_untouched()
            openers.run(_assert_untouched)

        yield Crossing(cross, cancel)

    return opened


generators("made with `otelctx.wrap`, consumed elsewhere")(_made_by(otelctx.wrap))


@generators("undecorated, consumed by its maker")
async def undecorated() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return _consumed(steps(job, *args))

    async def cancel() -> None:
        abandoned = steps(lambda: None)
        next(abandoned)
        _assert_untouched()
        del abandoned
        _assert_untouched()

    yield Crossing(cross, cancel)


@generators("undecorated, made in a request and consumed in none", carries=False, **CONSUMERS)
async def undecorated_elsewhere() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return Context().run(_consumed, steps(job, *args))

    async def cancel() -> None:
        abandoned = steps(lambda: None)
        nobodys = Context()
        nobodys.run(next, abandoned)
        nobodys.run(_assert_untouched)
        # Closed here, in another context than the one that it was stepped in.
        del abandoned
        _assert_untouched()
        nobodys.run(_assert_untouched)

    yield Crossing(cross, cancel)


async def _async_consumed(generator: AsyncGenerator[Any, None]) -> Any:
    await anext_(generator)
    _assert_untouched()
    result = await anext_(generator)
    _assert_untouched()
    await generator.aclose()
    _assert_untouched()
    return result


async def anext_(generator: AsyncGenerator[Any, None]) -> Any:
    return await generator.__anext__()


async def _abandoned(generator: AsyncGenerator[Any, None]) -> None:
    await anext_(generator)
    _assert_untouched()
    gone = weakref.ref(generator)
    # The event loop closes it when it is collected.
    del generator
    for _ in range(3):
        gc.collect()
        await _turn()
    assert gone() is None
    _assert_untouched()


async def undecorated_async() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        return await _async_consumed(async_steps(job, *args))

    async def cancel() -> None:
        await _abandoned(async_steps(lambda: None))

    yield Crossing(cross, cancel)


def _made_async_by(decorate: Callable[[Any], Any]) -> Callable[[], AsyncIterator[Crossing]]:
    async def opened() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            generator = decorate(async_steps)(job, *args)
            with otelctx.request(nested="new", user_id="consumer"):
                try:
                    return await _async_consumed(generator)
                finally:
                    assert "consumer" == otelctx.get("user_id")

        async def cancel() -> None:
            abandoned = [decorate(async_steps)(lambda: None)]
            with otelctx.request(nested="new", user_id="consumer"):
                await _abandoned(abandoned.pop())

        yield Crossing(cross, cancel)

    return opened


async def _turn() -> None:
    import sniffio

    if sniffio.current_async_library() == "trio":
        import trio

        await trio.lowlevel.checkpoint()
    else:
        import asyncio

        await asyncio.sleep(0)


def on_trio_quietly(scenario: Scenario) -> None:
    """Run *scenario* on trio, which warns of every async generator that is left to the garbage collector."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ResourceWarning, message="Async generator")
        on_trio(scenario)


for _loop, _run in {"asyncio": on_asyncio, "uvloop": on_uvloop, "trio": on_trio_quietly}.items():
    ROWS.add("generators", f"async, made with `otelctx.wrap`, consumed elsewhere ({_loop})", _run)(
        _made_async_by(otelctx.wrap)
    )
    ROWS.add("generators", f"async, undecorated, consumed by its maker ({_loop})", _run)(undecorated_async)
