"""Pools of processes, of both kinds and by every start method: a job runs in the request that submitted it."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextvars import Context
from multiprocessing.pool import Pool
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.trace import Tracer, format_trace_id, get_current_span

import otelctx
from otelctx.boundaries import processes

METHODS = ["fork", "forkserver", "spawn"]

# Python says so of every fork while a thread runs; here nothing holds a lock meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    processes.install()
    yield
    processes.uninstall()


def look(*_: object) -> dict[str, Any]:
    """Say what a job sees, and leave something behind for the next one."""
    seen = {
        "pid": os.getpid(),
        "fields": dict(otelctx.current()),
        "baggage": {key: str(value) for key, value in baggage.get_all().items()},
        "trace": format_trace_id(get_current_span().get_span_context().trace_id),
    }
    otelctx.set(user_id="left behind")
    otelctx.AsyncLocalStorage[str]().enter_with("left behind")
    return seen


def user(*_: object) -> object:
    return otelctx.get("user_id")


def fail(*_: object) -> None:
    raise ZeroDivisionError(str(otelctx.get("user_id")))


def users_below() -> list[object]:
    """Return what the jobs of a job see, and this job afterwards."""
    with ProcessPoolExecutor(1) as pool:
        return [pool.submit(user).result(), otelctx.get("user_id")]


class Odd:
    """A value that cannot leave its process."""

    def __reduce__(self) -> str:
        raise TypeError("not to be pickled")


@pytest.fixture(scope="module", params=METHODS)
def executor(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(request.param)) as pool:
        yield pool


@pytest.fixture(scope="module", params=METHODS)
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    processes.install()
    # Made in a request, as an application may do when it needs one for the first time.
    with otelctx.request(user_id="maker"):
        pool = multiprocessing.get_context(request.param).Pool(1)
    processes.uninstall()
    yield pool
    pool.close()
    pool.join()


class TestExecutor:
    """`ProcessPoolExecutor`."""

    def test_the_second_submitter_is_seen_by_the_same_worker(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.request(request_id="of-alice", user_id="alice"):
            first = executor.submit(look)
        with otelctx.request(request_id="of-bob", user_id="bob"):
            second = executor.submit(look)
        assert first.result()["fields"] == {"request_id": "of-alice", "user_id": "alice"}
        assert second.result()["fields"] == {"request_id": "of-bob", "user_id": "bob"}
        assert first.result()["pid"] == second.result()["pid"] != os.getpid()
        assert executor.submit(look).result()["fields"] == {}

    def test_map_runs_in_the_request(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.request(user_id="alice"):
            assert list(executor.map(user, range(4), chunksize=2)) == ["alice"] * 4

    async def test_so_does_what_an_event_loop_hands_over(self, executor: ProcessPoolExecutor) -> None:
        async def handle(name: str) -> object:
            with otelctx.request(user_id=name):
                return await asyncio.get_running_loop().run_in_executor(executor, user)

        assert await asyncio.gather(handle("alice"), handle("bob")) == ["alice", "bob"]

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="workers are not replaced before Python 3.11")
    def test_a_worker_that_replaces_another_is_in_no_request(self) -> None:
        context = multiprocessing.get_context("spawn")
        with otelctx.request(user_id="alice"), ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
            first, second = pool.submit(os.getpid), pool.submit(os.getpid)
            seen = Context().run(pool.submit, look)
            assert first.result() != second.result()
            assert seen.result()["fields"] == {}

    @pytest.mark.parametrize("first", [True, False], ids=["before ours", "after ours"])
    def test_opentelemetrys_own_instrumentor_does_no_harm(self, *, first: bool) -> None:
        processes.uninstall()
        if first:
            ThreadingInstrumentor().instrument()
        processes.install()
        if not first:
            ThreadingInstrumentor().instrument()
        try:
            with otelctx.request(user_id="maker"), multiprocessing.get_context("fork").Pool(1) as pool:
                for name in ("alice", "bob"):
                    with otelctx.request(user_id=name), ProcessPoolExecutor(1) as executor:
                        assert [name, name] == [executor.submit(user).result(), pool.apply(user)]
        finally:
            ThreadingInstrumentor().uninstrument()

    def test_undeclared_baggage_and_the_trace_cross(self, executor: ProcessPoolExecutor, tracer: Tracer) -> None:
        with (
            otelctx.request(peer="unix", carrier={"baggage": "plan=gold,request_id=r"}),
            tracer.start_as_current_span("s") as span,
        ):
            seen = executor.submit(look).result()
        assert seen["baggage"] == {"plan": "gold", "request_id": "r"}
        assert seen["trace"] == format_trace_id(span.get_span_context().trace_id)

    def test_bindings_and_baggage_cross_without_a_request(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.bind(step="a"):
            assert executor.submit(look).result()["fields"] == {"step": "a"}
        assert executor.submit(look).result()["fields"] == {}

    def test_an_id_that_is_hidden_stays_hidden(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.request(user_id="alice"), otelctx.bind(request_id=None):
            assert executor.submit(look).result()["fields"] == {"user_id": "alice"}

    def test_an_exception_is_the_jobs_own(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.request(user_id="alice"), pytest.raises(ZeroDivisionError, match=r"^alice$"):
            executor.submit(fail).result()

    def test_a_job_has_jobs_of_its_own(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.request(user_id="alice"):
            assert executor.submit(users_below).result() == ["alice", "alice"]


class TestPool:
    """`multiprocessing.Pool`."""

    def test_the_second_submitter_is_seen_by_the_same_worker(self, pool: Pool) -> None:
        with otelctx.request(request_id="of-alice", user_id="alice"):
            first = pool.apply_async(look)
        with otelctx.request(request_id="of-bob", user_id="bob"):
            second = pool.apply(look)
        assert first.get()["fields"] == {"request_id": "of-alice", "user_id": "alice"}
        assert second["fields"] == {"request_id": "of-bob", "user_id": "bob"}
        assert first.get()["pid"] == second["pid"] != os.getpid()

    def test_neither_a_job_of_no_request_nor_the_worker_is_in_one(self, pool: Pool) -> None:
        assert pool.apply(look)["fields"] == {}

    @pytest.mark.parametrize("name", ["map", "imap", "imap_unordered"])
    def test_all_ways_to_map_run_in_the_request(self, name: str, pool: Pool) -> None:
        with otelctx.request(user_id="alice"):
            assert list(getattr(pool, name)(user, range(4), 2)) == ["alice"] * 4
        with otelctx.request(user_id="bob"):
            assert list(getattr(pool, name)(user, range(4), chunksize=1)) == ["bob"] * 4

    @pytest.mark.parametrize("name", ["map_async", "starmap_async"])
    def test_all_asynchronous_ways_to_map_run_in_the_request(self, name: str, pool: Pool) -> None:
        with otelctx.request(user_id="alice"):
            result = getattr(pool, name)(user, [(1,), (2,)])
        assert result.get() == ["alice"] * 2

    def test_starmap_runs_in_the_request(self, pool: Pool) -> None:
        with otelctx.request(user_id="alice"):
            assert pool.starmap(user, [(1, 2)]) == ["alice"]

    def test_callbacks_run_in_the_request_of_who_submitted(self, pool: Pool) -> None:
        seen: list[object] = []
        called = threading.Event()

        def callback(result: object) -> None:
            seen.append((otelctx.get("user_id"), result if isinstance(result, str) else type(result)))
            otelctx.set(user_id="left behind")
            called.set()

        for name, job in (("alice", user), ("bob", fail)):
            with otelctx.request(user_id=name):
                pool.apply_async(job, (), {}, callback, error_callback=callback)
            assert called.wait(20)
            called.clear()
        assert seen == [("alice", "alice"), ("bob", ZeroDivisionError)]

    def test_what_makes_the_items_runs_in_the_request_too(self, pool: Pool) -> None:
        def items() -> Iterator[object]:
            yield otelctx.get("user_id")

        with otelctx.request(user_id="alice"):
            results = pool.imap(str, items())
        assert list(results) == ["alice"]

    def test_an_exception_is_the_tasks_own(self, pool: Pool) -> None:
        with otelctx.request(user_id="alice"), pytest.raises(ZeroDivisionError, match=r"^alice$"):
            pool.apply(fail)
        with otelctx.request(), pytest.raises(TypeError, match="not to be pickled"):
            pool.apply(user, (Odd(),))

    def test_a_value_that_stays_behind_breaks_nothing(self, pool: Pool) -> None:
        with otelctx.request(user_id="alice", cart=Odd()):
            assert pool.apply(user) == "alice"


class TestUninstall:
    """Patches are put back as they were."""

    def test_the_very_same_functions_are_back(self) -> None:
        processes.uninstall()
        owners = (ProcessPoolExecutor, Pool, multiprocessing.Process.__base__)
        before = [dict(vars(owner)) for owner in owners]
        processes.install()
        processes.install()
        assert before != [dict(vars(owner)) for owner in owners]
        processes.uninstall()
        assert before == [dict(vars(owner)) for owner in owners]
