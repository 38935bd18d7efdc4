"""
`snapshot`: capture here, run elsewhere.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from opentelemetry.trace import Tracer, get_current_span

import otelctx
from otelctx import bind, get, snapshot

pytestmark = pytest.mark.usefixtures("tasks")


class TestRun:
    """`run` calls a function under the snapshot, with its arguments, and returns its result."""

    def test_takes_bindings_request_span_and_other_variables_along(self, tracer: Tracer) -> None:
        variable: ContextVar[str] = ContextVar("variable", default="none")
        with otelctx.request(user_id="u"), bind(step="a"), tracer.start_as_current_span("span") as span:
            token = variable.set("set")
            here = snapshot()
            variable.reset(token)
        seen = here.run(lambda: (get("user_id"), get("step"), get_current_span(), variable.get()))
        assert seen == ("u", "a", span, "set")

    def test_passes_arguments(self) -> None:
        assert snapshot().run(lambda *a, **k: (a, k), 1, function=2) == ((1,), {"function": 2})

    def test_leaves_the_place_where_it_runs_as_it_was(self) -> None:
        here = snapshot()
        with bind(step="elsewhere"):
            assert here.run(get, "step") is None
            assert get("step") == "elsewhere"

    def test_what_runs_under_it_starts_from_the_snapshot_each_time(self) -> None:
        storage: otelctx.AsyncLocalStorage[str] = otelctx.AsyncLocalStorage()
        here = snapshot()
        here.run(storage.enter_with, "left over")
        assert here.run(storage.get_store) is None

    def test_sees_what_the_request_was_set_to_since(self) -> None:
        with otelctx.request():
            here = snapshot()
            otelctx.set(user_id="later")
        assert here.run(get, "user_id") == "later"

    def test_raises_what_the_function_raises(self) -> None:
        with pytest.raises(ZeroDivisionError):
            snapshot().run(lambda: 1 // 0)

    async def test_an_awaitable_result_runs_under_it(self) -> None:
        async def work() -> object:
            await asyncio.sleep(0)
            return get("step")

        with bind(step="captured"):
            here = snapshot()
        assert await here.run(work) == "captured"
        assert get("step") is None

    def test_in_several_threads_at_once(self) -> None:
        barrier = threading.Barrier(4)

        def work() -> object:
            barrier.wait()
            return get("step")

        with bind(step="captured"):
            here = snapshot()
        with ThreadPoolExecutor(4) as pool:
            assert [job.result() for job in [pool.submit(here.run, work) for _ in range(4)]] == ["captured"] * 4

    def test_within_itself(self) -> None:
        with bind(step="captured"):
            here = snapshot()
        assert here.run(here.run, get, "step") == "captured"


class TestWrap:
    """`wrap` makes a function of the same kind whose every call runs under the snapshot."""

    def test_a_function(self) -> None:
        def work(suffix: str) -> str:
            """Work."""
            return f"{get('step')}{suffix}"

        with bind(step="captured"):
            wrapped = snapshot().wrap(work)
        assert wrapped("!") == "captured!"
        assert wrapped.__doc__ == "Work."
        assert inspect.signature(wrapped) == inspect.signature(work)

    async def test_a_coroutine_function(self) -> None:
        async def work() -> object:
            await asyncio.sleep(0)
            return get("step")

        with bind(step="captured"):
            wrapped = snapshot().wrap(work)
        assert inspect.iscoroutinefunction(wrapped)
        assert list(await asyncio.gather(wrapped(), wrapped())) == ["captured", "captured"]

    def test_a_generator_function(self) -> None:
        def numbers() -> Iterator[object]:
            yield get("step")
            yield get("step")

        with bind(step="captured"):
            wrapped = snapshot().wrap(numbers)
        assert inspect.isgeneratorfunction(wrapped)
        with bind(step="consumer"):
            assert [(value, get("step")) for value in wrapped()] == [("captured", "consumer")] * 2

    async def test_an_async_generator_function(self) -> None:
        async def numbers() -> AsyncIterator[object]:
            yield get("step")
            await asyncio.sleep(0)
            yield get("step")

        with bind(step="captured"):
            wrapped = snapshot().wrap(numbers)
        assert inspect.isasyncgenfunction(wrapped)
        with bind(step="consumer"):
            assert [(value, get("step")) async for value in wrapped()] == [("captured", "consumer")] * 2

    def test_a_generator_that_a_plain_function_returns(self) -> None:
        def numbers() -> Iterator[object]:
            yield get("step")

        with bind(step="captured"):
            wrapped = snapshot().wrap(lambda: numbers())  # noqa: PLW0108 - a plain function
        assert list(wrapped()) == ["captured"]

    def test_a_callback_that_a_loop_calls_later(self) -> None:
        seen: list[object] = []
        with otelctx.request(user_id="u"):
            callback = snapshot().wrap(lambda: seen.append(get("user_id")))
        threading.Thread(target=callback).start()
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        assert seen == ["u"]
