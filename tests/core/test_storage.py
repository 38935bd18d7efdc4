"""
`AsyncLocalStorage`, held against https://nodejs.org/api/async_context.html#class-asynclocalstorage.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach
from opentelemetry.trace import Tracer

import otelctx
from otelctx import AsyncLocalStorage

pytestmark = pytest.mark.usefixtures("tasks")


@pytest.fixture
def storage() -> AsyncLocalStorage[object]:
    return AsyncLocalStorage()


class TestConstructor:
    """`new AsyncLocalStorage({name, defaultValue})`."""

    def test_name_is_empty_unless_given(self) -> None:
        assert AsyncLocalStorage[str]().name == ""
        assert AsyncLocalStorage[str](name="tenant").name == "tenant"

    def test_default_is_what_get_store_returns_outside(self) -> None:
        storage = AsyncLocalStorage(default="default")
        assert storage.get_store() == "default"
        assert storage.run("store", storage.get_store) == "store"

    def test_two_of_one_name_stay_apart(self) -> None:
        one, two = AsyncLocalStorage[int](name="same"), AsyncLocalStorage[int](name="same")
        assert one.run(1, lambda: two.run(2, lambda: (one.get_store(), two.get_store()))) == (1, 2)
        assert one.run(1, two.get_store) is None


class TestRun:
    """`run(store, callback[, ...args])`: the store is not accessible outside of the callback."""

    def test_returns_what_the_function_returns(self, storage: AsyncLocalStorage[object]) -> None:
        assert storage.run("s", lambda *a, **k: (a, k), 1, store=2) == ((1,), {"store": 2})

    def test_restores_the_outer_store(self, storage: AsyncLocalStorage[object]) -> None:
        def outer() -> tuple[object, object]:
            return storage.run("inner", storage.get_store), storage.get_store()

        assert storage.run("outer", outer) == ("inner", "outer")
        assert storage.get_store() is None

    def test_an_exception_passes_and_the_store_is_gone(self, storage: AsyncLocalStorage[object]) -> None:
        with pytest.raises(ZeroDivisionError):
            storage.run("s", lambda: 1 // 0)
        assert storage.get_store() is None

    async def test_an_async_function_has_it_to_its_end(self, storage: AsyncLocalStorage[object]) -> None:
        async def work() -> list[object]:
            seen = [storage.get_store()]
            await asyncio.sleep(0)
            return [*seen, storage.get_store()]

        running = storage.run("s", work)
        assert storage.get_store() is None
        assert await running == ["s", "s"]
        assert storage.get_store() is None

    async def test_concurrent_async_functions(self, storage: AsyncLocalStorage[object]) -> None:
        async def work() -> object:
            await asyncio.sleep(0)
            return storage.get_store()

        assert await asyncio.gather(*(storage.run(number, work) for number in range(3))) == [0, 1, 2]

    async def test_tasks_and_callbacks_started_inside_keep_it(self, storage: AsyncLocalStorage[object]) -> None:
        called: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        async def work() -> object:
            return storage.get_store()

        def start() -> asyncio.Task[object]:
            asyncio.get_running_loop().call_soon(lambda: called.set_result(storage.get_store()))
            return asyncio.create_task(work())

        assert await storage.run("s", start) == "s"
        assert await called == "s"

    def test_a_store_of_none_is_a_store(self) -> None:
        storage: AsyncLocalStorage[str | None] = AsyncLocalStorage(default="default")
        assert storage.run(None, storage.get_store) is None


class TestExit:
    """`exit(callback[, ...args])`: the store is not accessible within the callback."""

    def test_no_store_inside_and_the_store_back_after(self, storage: AsyncLocalStorage[object]) -> None:
        assert storage.run("s", lambda: (storage.exit(storage.get_store), storage.get_store())) == (None, "s")

    def test_not_even_the_default(self) -> None:
        storage = AsyncLocalStorage(default="default")
        assert storage.exit(storage.get_store) is None
        assert storage.get_store() == "default"

    def test_run_inside_works(self, storage: AsyncLocalStorage[object]) -> None:
        assert storage.exit(lambda: storage.run("s", storage.get_store)) == "s"

    async def test_an_async_function_has_none_to_its_end(self, storage: AsyncLocalStorage[object]) -> None:
        async def work() -> object:
            await asyncio.sleep(0)
            return storage.get_store()

        async def main() -> object:
            return await storage.exit(work)

        assert await storage.run("s", main) is None


class TestEnterWith:
    """`enterWith(store)`: for the rest of the synchronous execution and what follows asynchronously."""

    async def test_holds_for_the_rest_of_the_task_and_its_children(self, storage: AsyncLocalStorage[object]) -> None:
        async def child() -> object:
            return storage.get_store()

        async def main() -> tuple[object, object]:
            storage.enter_with("s")
            await asyncio.sleep(0)
            return storage.get_store(), await asyncio.create_task(child())

        assert await asyncio.create_task(main()) == ("s", "s")
        assert storage.get_store() is None

    def test_holds_after_the_function_that_called_it(self, storage: AsyncLocalStorage[object]) -> None:
        def below() -> None:
            storage.enter_with("s")

        def function() -> object:
            below()
            return storage.get_store()

        assert copy_context().run(function) == "s"

    def test_ends_with_the_run_around_it(self, storage: AsyncLocalStorage[object]) -> None:
        def function() -> object:
            storage.enter_with("inner")
            return storage.get_store()

        assert storage.run("outer", function) == "inner"
        assert storage.get_store() is None


class TestWithScope:
    """`using scope = storage.withScope(store)`: restores the previous store when the scope ends."""

    def test_restores(self, storage: AsyncLocalStorage[object]) -> None:
        with storage.with_scope("outer"):
            with storage.with_scope("inner"):
                assert storage.get_store() == "inner"
            assert storage.get_store() == "outer"
        assert storage.get_store() is None

    def test_restores_after_an_exception_and_after_enter_with(self, storage: AsyncLocalStorage[object]) -> None:
        with pytest.raises(ZeroDivisionError), storage.with_scope("s"):  # noqa: PT012
            storage.enter_with("t")
            raise ZeroDivisionError
        assert storage.get_store() is None


class TestDisable:
    """`disable()`: all current contexts linked to the instance are exited, until `run` or `enterWith`."""

    def test_the_store_is_gone_and_run_starts_anew(self, storage: AsyncLocalStorage[object]) -> None:
        def function() -> tuple[object, object]:
            storage.disable()
            return storage.get_store(), storage.run("again", storage.get_store)

        assert storage.run("s", function) == (None, "again")
        storage.enter_with("entered")
        assert storage.get_store() == "entered"

    async def test_in_other_tasks_too(self, storage: AsyncLocalStorage[object]) -> None:
        disabled = asyncio.Event()

        async def other() -> object:
            await disabled.wait()
            return storage.get_store()

        task = storage.run("s", lambda: asyncio.create_task(other()))
        await asyncio.sleep(0)
        storage.disable()
        disabled.set()
        assert await task is None

    def test_another_storage_is_left_alone(self, storage: AsyncLocalStorage[object]) -> None:
        other: AsyncLocalStorage[int] = AsyncLocalStorage()

        def function() -> object:
            storage.disable()
            return other.get_store()

        assert other.run(1, function) == 1


class TestStaticBind:
    """`AsyncLocalStorage.bind(fn)`: a function that runs in the context of where it was bound."""

    def test_with_its_arguments(self, storage: AsyncLocalStorage[object]) -> None:
        def work(a: int, *, b: int) -> tuple[object, int, int]:
            return storage.get_store(), a, b

        bound = storage.run("s", lambda: AsyncLocalStorage.bind(work))
        assert storage.run("elsewhere", lambda: bound(1, b=2)) == ("s", 1, 2)

    def test_takes_all_storages_and_the_request_along(self, storage: AsyncLocalStorage[object]) -> None:
        other: AsyncLocalStorage[int] = AsyncLocalStorage()

        def work() -> tuple[object, ...]:
            return storage.get_store(), other.get_store(), otelctx.get("user_id")

        with otelctx.request(user_id="u"):
            bound = storage.run("s", lambda: other.run(1, lambda: AsyncLocalStorage.bind(work)))
        assert bound() == ("s", 1, "u")


class TestStaticSnapshot:
    """`AsyncLocalStorage.snapshot()`: a function that runs another in the captured context."""

    def test_as_in_the_documentation_of_node(self, storage: AsyncLocalStorage[object]) -> None:
        run_in = storage.run(123, AsyncLocalStorage.snapshot)
        assert storage.run(321, lambda: run_in(storage.get_store)) == 123

    def test_arguments_and_threads(self, storage: AsyncLocalStorage[object]) -> None:
        seen: list[object] = []
        run_in = storage.run(123, AsyncLocalStorage.snapshot)
        thread = threading.Thread(target=run_in, args=(lambda suffix: seen.append((storage.get_store(), suffix)), "!"))
        thread.start()
        thread.join()
        assert seen == [(123, "!")]


class TestNeighbours:
    """Independent instances, OTel's own values and otelctx never disturb each other."""

    def test_baggage_span_and_request(self, storage: AsyncLocalStorage[object], tracer: Tracer) -> None:
        def inside() -> object:
            with otelctx.bind(step="a"), tracer.start_as_current_span("span"):
                attach(baggage.set_baggage("colour", "red"))
                return storage.get_store()

        with otelctx.request(user_id="u"):
            assert storage.run("s", inside) == "s"
            assert storage.run("s", otelctx.get, "user_id") == "u"
            assert otelctx.get("colour") is None

    def test_a_set_inside_run_is_seen_after_it(self, storage: AsyncLocalStorage[object]) -> None:
        with otelctx.request():
            storage.run("s", lambda: otelctx.set(user_id="u"))
            assert otelctx.get("user_id") == "u"

    def test_a_request_that_continues_a_message_keeps_the_store(self, storage: AsyncLocalStorage[object]) -> None:
        with storage.with_scope("s"), otelctx.request(carrier={"x-request-id": "r1"}):
            assert storage.get_store() == "s"
