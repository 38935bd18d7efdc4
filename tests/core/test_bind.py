"""
`bind` in all its forms. What a binding means is in test_guarantees.py; here is what it does to functions.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, get_current
from opentelemetry.trace import Tracer, get_current_span

import otelctx
from otelctx import bind, get

pytestmark = pytest.mark.usefixtures("tasks")


class TestBlock:
    """`with bind(…)` and `async with bind(…)` are one block each."""

    async def test_async_with_is_the_same(self) -> None:
        async with bind(step="a"):
            await asyncio.sleep(0)
            assert get("step") == "a"
        assert get("step") is None

    def test_several_names(self) -> None:
        with bind(a=1, b=2):
            assert otelctx.current() == {"a": 1, "b": 2}

    def test_none_hides_an_outer_value(self) -> None:
        with bind(step="outer"), bind(step=None):
            assert get("step", "default") == "default"

    def test_a_field_may_be_called_self(self) -> None:
        with bind(self="me"):
            assert get("self") == "me"

    def test_a_block_is_entered_once_at_a_time(self) -> None:
        block = bind(step="a")
        with block, pytest.raises(RuntimeError, match="entered already"), block:
            pass
        with block:
            assert get("step") == "a"

    def test_values_are_converted_as_declared(self) -> None:
        otelctx.declare(otelctx.Field("attempt", type=int))
        with bind(attempt="3"):
            assert get("attempt") == 3

    async def test_a_task_started_inside_keeps_it(self) -> None:
        over = asyncio.Event()

        async def started() -> object:
            await over.wait()
            return get("step")

        with bind(step="a"):
            task = asyncio.create_task(started())
        over.set()
        assert await task == "a"

    def test_a_remote_field_is_in_the_baggage_of_the_block_only(self) -> None:
        with otelctx.request(user_id="outer"):
            with bind(user_id="inner"):
                assert baggage.get_baggage("user_id") == "inner"
            assert baggage.get_baggage("user_id") == "outer"

    def test_a_block_that_ends_in_another_context_changes_nothing_there(self, caplog: pytest.LogCaptureFixture) -> None:
        import contextvars

        block = bind(step="a")
        contextvars.copy_context().run(block.__enter__)
        before = get_current()
        block.__exit__(None, None, None)
        assert get_current() is before
        assert caplog.records == []


class TestFunction:
    """A function runs each of its calls in a block of its own."""

    def test_sees_the_binding(self) -> None:
        @bind(step="a")
        def work(suffix: str) -> str:
            return f"{get('step')}{suffix}"

        assert [work("1"), work(suffix="2")] == ["a1", "a2"]
        assert get("step") is None

    def test_may_call_itself(self) -> None:
        @bind(step="a")
        def work(depth: int) -> object:
            return work(depth - 1) if depth else get("step")

        assert work(3) == "a"

    def test_raises_what_it_raises(self) -> None:
        @bind(step="a")
        def work() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert get("step") is None

    def test_keeps_its_name_and_signature(self) -> None:
        @bind(step="a")
        def work(a: int, *, b: str = "b") -> None:
            """Work."""

        assert work.__name__ == "work"
        assert work.__doc__ == "Work."
        assert str(inspect.signature(work)) == "(a: 'int', *, b: 'str' = 'b') -> 'None'"

    def test_may_be_a_method(self) -> None:
        class Worker:
            @bind(step="a")
            def work(self) -> object:
                return self, get("step")

        worker = Worker()
        assert worker.work() == (worker, "a")

    def test_sets_context_variables_of_others_for_its_caller_as_before(self) -> None:
        variable: ContextVar[str] = ContextVar("variable")

        @bind(step="a")
        def work() -> None:
            variable.set("set")

        work()
        assert variable.get() == "set"

    async def test_that_returns_a_coroutine_sees_it_there_too(self) -> None:
        class Callable:
            async def __call__(self) -> object:
                await asyncio.sleep(0)
                return get("step")

        assert await bind(step="a")(Callable())() == "a"
        assert get("step") is None

    async def test_may_be_a_partial(self) -> None:
        async def work(suffix: str) -> str:
            return f"{get('step')}{suffix}"

        assert await bind(step="a")(partial(work, "1"))() == "a1"


class TestCoroutineFunction:
    """A coroutine function runs to its end in a block, and concurrent calls in blocks of their own."""

    async def test_sees_the_binding_after_each_await(self) -> None:
        @bind(step="a")
        async def work() -> list[object]:
            seen = [get("step")]
            await asyncio.sleep(0)
            return [*seen, get("step")]

        assert inspect.iscoroutinefunction(work)
        assert await work() == ["a", "a"]
        assert get("step") is None

    async def test_concurrent_calls(self) -> None:
        @bind(step="a")
        async def work(number: int) -> object:
            with bind(step=number):
                await asyncio.sleep(0)
            return get("step")

        assert list(await asyncio.gather(work(1), work(2))) == ["a", "a"]

    async def test_is_cancelled_as_before(self) -> None:
        started, seen = asyncio.Event(), []

        @bind(step="a")
        async def work() -> None:
            try:
                started.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append(get("step"))
                raise

        task = asyncio.create_task(work())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["a"]


class TestGeneratorFunction:
    """A generator sees its own values at each step; whoever drives it never sees any of them."""

    def test_each_step_and_its_consumer(self) -> None:
        @bind(step="inside")
        def numbers() -> Iterator[object]:
            yield get("step")
            with bind(step="deeper"):
                yield get("step")
            yield get("step")

        assert inspect.isgeneratorfunction(numbers)
        seen = []
        with bind(step="consumer"):
            for value in numbers():
                seen.append((value, get("step")))  # noqa: PERF401 - the loop is what is tested
        assert seen == [("inside", "consumer"), ("deeper", "consumer"), ("inside", "consumer")]

    def test_values_go_in_and_come_out(self) -> None:
        @bind(step="a")
        def echo() -> Generator[object, object, str]:
            received = yield get("step")
            while received != "stop":
                received = yield (received, get("step"))
            return "returned"

        def outer() -> Generator[object, object, str]:
            return (yield from echo())

        generator = outer()
        assert next(generator) == "a"
        assert generator.send(1) == (1, "a")
        with pytest.raises(StopIteration) as stop:
            generator.send("stop")
        assert stop.value.value == "returned"

    def test_an_exception_thrown_in_may_be_handled(self) -> None:
        @bind(step="a")
        def survivor() -> Iterator[object]:
            try:
                yield 1
            except ZeroDivisionError:
                yield get("step")

        generator = survivor()
        next(generator)
        assert generator.throw(ZeroDivisionError()) == "a"  # type: ignore[attr-defined]

    def test_an_exception_it_raises_reaches_the_consumer(self) -> None:
        @bind(step="a")
        def failing() -> Iterator[int]:
            yield 1
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            list(failing())
        assert get("step") is None

    @pytest.mark.parametrize("how", ["close", "abandon", "break"])
    def test_closing_runs_its_cleanup_inside(self, how: str, tracer: Tracer, caplog: pytest.LogCaptureFixture) -> None:
        seen: list[object] = []

        @bind(step="inside")
        def numbers() -> Iterator[int]:
            with tracer.start_as_current_span("inside"):
                try:
                    yield 1
                finally:
                    seen.append(get("step"))

        before = get_current()
        generator = numbers()
        if how == "break":
            for _ in generator:
                break
        else:
            next(generator)
        assert get_current() is before
        if how == "close":
            generator.close()  # type: ignore[attr-defined]
        del generator
        gc.collect()
        assert seen == ["inside"]
        assert get_current() is before
        assert caplog.records == []

    def test_a_generator_that_never_started_enters_nothing(self) -> None:
        @bind(step="inside")
        def numbers() -> Iterator[int]:
            yield 1

        numbers().close()  # type: ignore[attr-defined]
        assert get("step") is None

    def test_two_at_once(self) -> None:
        @bind(step="inside")
        def numbers(number: int) -> Iterator[object]:
            with bind(step=number):
                yield get("step")
                yield get("step")

        assert list(zip(numbers(1), numbers(2), strict=True)) == [(1, 2), (1, 2)]

    def test_what_it_sets_in_the_request_is_seen_by_the_consumer(self) -> None:
        @bind(step="inside")
        def numbers() -> Iterator[int]:
            otelctx.set(user_id="u")
            yield 1

        with otelctx.request():
            next(iter(numbers()))
            assert get("user_id") == "u"

    def test_its_steps_may_run_in_different_threads(self) -> None:
        from concurrent.futures import ThreadPoolExecutor

        @bind(step="inside")
        def numbers() -> Iterator[object]:
            yield get("step")
            yield get("step")

        generator = numbers()
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
            assert one.submit(next, generator).result() == "inside"
            assert two.submit(next, generator).result() == "inside"

    def test_a_context_manager_made_of_it_leaves_the_block_alone(self) -> None:
        @contextmanager
        @bind(step="inside")
        def manager() -> Iterator[object]:
            yield get("step")

        with bind(step="outside"), manager() as seen:
            assert seen == "inside"
            assert get("step") == "outside"


class TestAsyncGeneratorFunction:
    """The same for an asynchronous generator."""

    async def test_each_step_and_its_consumer(self) -> None:
        @bind(step="inside")
        async def numbers() -> AsyncIterator[object]:
            yield get("step")
            await asyncio.sleep(0)
            yield get("step")

        assert inspect.isasyncgenfunction(numbers)
        with bind(step="consumer"):
            seen = [(value, get("step")) async for value in numbers()]
        assert seen == [("inside", "consumer"), ("inside", "consumer")]

    async def test_values_go_in(self) -> None:
        @bind(step="a")
        async def echo() -> AsyncGenerator[object, object]:
            received = yield "ready"
            while True:
                received = yield (received, get("step"))

        async with aclosing(echo()) as generator:
            assert await generator.asend(None) == "ready"
            assert await generator.asend(1) == (1, "a")

    async def test_an_exception_thrown_in_may_be_handled(self) -> None:
        @bind(step="a")
        async def survivor() -> AsyncGenerator[object, None]:
            try:
                yield 1
            except ZeroDivisionError:
                await asyncio.sleep(0)
                yield get("step")

        async with aclosing(survivor()) as generator:
            await anext(generator)
            assert await generator.athrow(ZeroDivisionError()) == "a"

    async def test_an_exception_it_raises_reaches_the_consumer(self) -> None:
        @bind(step="a")
        async def failing() -> AsyncIterator[int]:
            yield 1
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            [_ async for _ in failing()]

    async def test_closing_runs_its_cleanup_inside(self, tracer: Tracer, caplog: pytest.LogCaptureFixture) -> None:
        seen: list[object] = []

        @bind(step="inside")
        async def numbers() -> AsyncGenerator[int, None]:
            with tracer.start_as_current_span("inside"):
                try:
                    yield 1
                finally:
                    await asyncio.sleep(0)
                    seen.append(get("step"))

        async with aclosing(numbers()) as generator:
            await anext(generator)
            assert not get_current_span().get_span_context().is_valid
        assert seen == ["inside"]
        assert caplog.records == []

    async def test_after_break_the_loop_closes_it_inside(
        self, tracer: Tracer, caplog: pytest.LogCaptureFixture
    ) -> None:
        closed = asyncio.Event()
        seen: list[object] = []

        @bind(step="inside")
        async def numbers() -> AsyncGenerator[int, None]:
            with tracer.start_as_current_span("inside"):
                try:
                    yield 1
                finally:
                    seen.append(get("step"))
                    closed.set()

        async for _ in numbers():
            break
        gc.collect()
        await closed.wait()
        assert seen == ["inside"]
        assert get("step") is None
        assert not get_current_span().get_span_context().is_valid
        assert caplog.records == []

    async def test_cancelled_within_a_step(self) -> None:
        started, seen = asyncio.Event(), []

        @bind(step="inside")
        async def numbers() -> AsyncIterator[int]:
            try:
                yield 1
                started.set()
                await asyncio.Event().wait()
                yield 2
            finally:
                seen.append(get("step"))

        async def consume() -> None:
            async for _ in numbers():
                pass

        task = asyncio.create_task(consume())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["inside"]

    async def test_steps_in_different_tasks(self) -> None:
        @bind(step="inside")
        async def numbers() -> AsyncGenerator[object, None]:
            with bind(step="deeper"):
                yield get("step")
                yield get("step")
            yield get("step")

        async with aclosing(numbers()) as generator:
            step = partial(asyncio.create_task)
            seen = [await step(_next(generator)) for _ in range(3)]
        assert seen == ["deeper", "deeper", "inside"]


async def _next(generator: AsyncGenerator[Any, None]) -> Any:
    return await anext(generator)


@pytest.mark.parametrize("stage", ["suspended", "finished"])
def test_a_loop_that_shuts_down_closes_an_abandoned_generator_inside(
    stage: str, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop knows only of the generator around it, so its cleanup is in the right context at shutdown too."""
    seen: list[object] = []
    kept: list[object] = []

    @bind(step="inside")
    async def numbers() -> AsyncGenerator[int, None]:
        with tracer.start_as_current_span("inside"):
            try:
                yield 1
            finally:
                seen.append(get("step"))

    async def main() -> None:
        generator = numbers()
        kept.append(generator)
        await anext(generator)
        if stage == "finished":
            await generator.aclose()

    hooks = sys.get_asyncgen_hooks()
    asyncio.run(main())
    assert seen == ["inside"]
    assert sys.get_asyncgen_hooks() == hooks
    assert caplog.records == []


def test_baggage_of_other_code_inside_a_binding_ends_with_it() -> None:
    """Leaving a block puts back the Context from before it, whatever was attached inside."""
    with bind(step="a"):
        attach(baggage.set_baggage("colour", "red"))
    assert get("colour") is None
