"""Generators keep what they bind and trace around a `yield` to themselves."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from typing import Any

import pytest
from opentelemetry.context import attach, get_current
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace import INVALID_SPAN, Tracer, get_current_span

import otelctx
from otelctx import bind, get, request
from otelctx.boundaries import generators

METHODS = ("attach", "detach", "get_current")


@pytest.fixture(autouse=True)
def _installed(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    before = [getattr(ContextVarsRuntimeContext, name) for name in METHODS]
    generators.install()
    generators.install()
    yield
    generators.uninstall()
    assert [getattr(ContextVarsRuntimeContext, name) for name in METHODS] == before
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []


def binding(step: str, seen: list[object] | None = None) -> Generator[object, None, None]:
    try:
        with bind(step=step):
            yield get("step")
            yield get("step")
    finally:
        if seen is not None:
            seen.append(get("step"))


class TestGenerator:
    """A synchronous generator."""

    def test_consumer_and_generator_see_their_own_at_each_step(self) -> None:
        with bind(step="consumer"):
            seen = [(value, get("step")) for value in binding("generator")]
            assert get("step") == "consumer"
        assert seen == [("generator", "consumer")] * 2

    def test_interleaved_ones_see_their_own(self) -> None:
        for pair in zip(binding("a"), binding("b"), strict=True):
            assert pair == ("a", "b")
            assert get("step") is None
        assert get("step") is None

    def test_a_span_in_it_is_not_the_consumers(self, tracer: Tracer) -> None:
        def tracing() -> Iterator[object]:
            with tracer.start_as_current_span("generator") as span:
                yield get_current_span() is span
                yield get_current_span() is span

        with tracer.start_as_current_span("consumer") as span:
            for its_own in tracing():
                assert its_own
                assert get_current_span() is span
            assert get_current_span() is span
        assert get_current_span() is INVALID_SPAN

    def test_one_that_is_left_alone_is_not_seen(self) -> None:
        abandoned = binding("generator")
        assert next(abandoned) == "generator"
        assert get("step") is None
        with bind(step="consumer"):
            del abandoned
            assert get("step") == "consumer"
        assert get("step") is None

    def test_one_that_is_closed_after_the_consumers_block_began_leaves_that_alone(self, tracer: Tracer) -> None:
        def tracing() -> Iterator[None]:
            with tracer.start_as_current_span("generator"), bind(step="generator"):
                yield

        open_one = tracing()
        next(open_one)
        with bind(step="consumer"), tracer.start_as_current_span("consumer") as span:
            open_one.close()  # type: ignore[attr-defined]
            assert (get("step"), get_current_span()) == ("consumer", span)
        assert (get("step"), get_current_span()) == (None, INVALID_SPAN)

    def test_one_that_ends_within_the_consumers_block_leaves_that_alone(self) -> None:
        steps = binding("generator")
        next(steps)
        with bind(step="consumer"):
            assert [*steps] == ["generator"]
            assert get("step") == "consumer"
        assert get("step") is None

    def test_one_that_the_garbage_collector_closes_touches_nobody(self) -> None:
        class Holder:
            pass

        seen: list[object] = []
        holder: Any = Holder()
        holder.itself, holder.steps = holder, binding("generator", seen)
        next(holder.steps)
        with bind(step="bystander"):
            del holder
            gc.collect()
            assert get("step") == "bystander"
        assert get("step") is None
        assert len(seen) == 1

    def test_one_that_another_thread_closes_touches_nobody(self) -> None:
        steps = binding("generator")
        next(steps)
        thread = threading.Thread(target=steps.close)
        thread.start()
        thread.join()
        assert get("step") is None

    def test_one_that_is_thrown_into_sees_its_own_and_raises(self) -> None:
        seen: list[object] = []

        def catching() -> Generator[object, None, None]:
            with bind(step="generator"):
                try:
                    yield
                except KeyError:
                    seen.append(get("step"))
                    raise

        steps = catching()
        next(steps)
        with pytest.raises(KeyError):
            steps.throw(KeyError())
        assert (seen, get("step")) == (["generator"], None)

    def test_what_it_delegates_to_keeps_its_own_as_well(self) -> None:
        def outer() -> Iterator[object]:
            with bind(step="outer"):
                yield from binding("inner")
                yield get("step")

        seen = [(value, get("step")) for value in outer()]
        assert seen == [("inner", None), ("inner", None), ("outer", None)]

    def test_what_it_has_started_sees_its_values(self) -> None:
        go, seen = threading.Event(), []

        def starting() -> Iterator[threading.Thread]:
            with bind(step="generator"):
                here = otelctx.snapshot()
                thread = threading.Thread(target=lambda: (go.wait(), seen.append(here.run(get, "step"))))
                thread.start()
                yield thread

        steps = starting()
        thread = next(steps)
        go.set()
        thread.join()
        assert seen == ["generator"]

    def test_a_context_that_it_hands_out_is_honoured_where_it_is_attached(self) -> None:
        def handing_out() -> Iterator[Any]:
            with bind(step="generator"):
                yield get_current()

        steps = handing_out()
        attach(next(steps))
        assert get("step") == "generator"

    def test_a_request_in_it_is_its_own(self) -> None:
        def serving() -> Iterator[object]:
            for user in ("alice", "bob"):
                with request(user_id=user):
                    yield get("user_id")

        with request(user_id="consumer"):
            for user in serving():
                otelctx.set(step=f"for {user}")
                assert get("user_id") == "consumer"
            assert get("step") == "for bob"

    def test_many_abandoned_ones_cost_nothing_more(self) -> None:
        for _ in range(2000):
            next(binding("generator"))
        assert get("step") is None


class TestBlocksMadeOfGenerators:
    """A generator that `contextlib` steps is a block around somebody, who sees its values."""

    def test_contextmanager(self) -> None:
        @contextmanager
        def block() -> Iterator[None]:
            with bind(step="block"):
                yield

        with block():
            assert get("step") == "block"
        assert get("step") is None
        with ExitStack() as stack:
            stack.enter_context(block())
            assert get("step") == "block"

    async def test_asynccontextmanager(self) -> None:
        @asynccontextmanager
        async def block() -> AsyncIterator[None]:
            async with bind(step="block"):
                yield

        async with block():
            assert get("step") == "block"
        assert get("step") is None

    def test_within_a_generator_it_is_that_ones(self) -> None:
        @contextmanager
        def block() -> Iterator[None]:
            with bind(step="block"):
                yield

        def steps() -> Iterator[object]:
            with block():
                yield get("step")

        assert [(value, get("step")) for value in steps()] == [("block", None)]

    @pytest.fixture
    def bound(self) -> Iterator[None]:
        with bind(step="fixture"):
            yield

    def test_a_fixture(self, bound: None) -> None:
        assert get("step") == "fixture"


@pytest.mark.usefixtures("tasks")
class TestAsyncGenerator:
    """An asynchronous generator."""

    @staticmethod
    async def numbers(tracer: Tracer) -> AsyncGenerator[object, None]:
        with tracer.start_as_current_span("generator") as span, bind(step="generator"):
            for _ in range(3):
                await asyncio.sleep(0)
                yield get("step"), get_current_span() is span

    async def test_consumer_and_generator_see_their_own_at_each_step(self, tracer: Tracer) -> None:
        with tracer.start_as_current_span("consumer") as span:
            async for seen in self.numbers(tracer):
                assert seen == ("generator", True)
                assert (get("step"), get_current_span()) == (None, span)
                await asyncio.sleep(0)
            assert get_current_span() is span

    async def test_after_break_its_span_is_not_current(self, tracer: Tracer) -> None:
        async for _ in self.numbers(tracer):
            break
        assert (get("step"), get_current_span()) == (None, INVALID_SPAN)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (get("step"), get_current_span()) == (None, INVALID_SPAN)

    async def test_one_that_is_closed_is_not_seen(self, tracer: Tracer) -> None:
        async with aclosing(self.numbers(tracer)) as numbers:
            await anext(numbers)
            with bind(step="consumer"):
                await numbers.aclose()
                assert (get("step"), get_current_span()) == ("consumer", INVALID_SPAN)
        assert get("step") is None

    async def test_one_that_another_task_closes_touches_nobody(self, tracer: Tracer) -> None:
        numbers = self.numbers(tracer)
        await anext(numbers)
        await asyncio.create_task(numbers.aclose())  # type: ignore[arg-type]
        assert (get("step"), get_current_span()) == (None, INVALID_SPAN)

    async def test_cancelled_it_leaves_nothing(self, tracer: Tracer) -> None:
        waiting = asyncio.Event()

        async def endless() -> AsyncIterator[None]:
            with tracer.start_as_current_span("generator"), bind(step="generator"):
                waiting.set()
                await asyncio.Event().wait()
                yield

        async def consume() -> object:
            try:
                async for _ in endless():
                    pass
            except asyncio.CancelledError:
                return get("step"), get_current_span()
            return None

        task = asyncio.create_task(consume())
        await waiting.wait()
        task.cancel()
        assert await task == (None, INVALID_SPAN)

    async def test_its_tasks_see_its_values(self) -> None:
        go = asyncio.Event()

        async def child() -> object:
            await go.wait()
            return get("step")

        async def starting() -> AsyncIterator[asyncio.Task[object]]:
            with bind(step="generator"):
                yield asyncio.create_task(child())

        async for task in starting():
            go.set()
            assert await task == "generator"
            assert get("step") is None


@pytest.mark.parametrize("decorate", [bind(), otelctx.wrap])
def test_decorated_it_sees_its_own_whoever_takes_each_step(decorate: Callable[..., Any]) -> None:
    @decorate
    def steps() -> Iterator[object]:
        with bind(step="generator"):
            yield get("step")
            yield get("step")

    iterator = steps()
    assert otelctx.snapshot().run(next, iterator) == "generator"
    with bind(step="consumer"):
        assert otelctx.snapshot().run(next, iterator) == "generator"
        assert otelctx.snapshot().run(get, "step") == "consumer"


WITHOUT_PRIVATE_NAME = """
from contextvars import ContextVar
from opentelemetry.context import contextvars_context

class Renamed(contextvars_context.ContextVarsRuntimeContext):
    def __init__(self):
        self.variable = ContextVar("current_context")

contextvars_context.ContextVarsRuntimeContext = Renamed
import otelctx
from otelctx.boundaries import generators
from otelctx.setup import install

install.install()
assert "attach" not in vars(Renamed)
def steps():
    with otelctx.bind(step="generator"):
        yield otelctx.get("step")

with otelctx.request(user_id="alice"):
    print(otelctx.get("user_id"), *steps())
install.uninstall()
"""


def test_where_opentelemetry_has_renamed_its_variable_generators_are_as_python_has_them() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_PRIVATE_NAME], capture_output=True, text=True, check=False)
    assert ("alice generator\n", "") == (ran.stdout, ran.stderr)
