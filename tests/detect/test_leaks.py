"""Leaks: what outlives its request is told with the place where it was started, once."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import Context
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
import uvloop
from opentelemetry.context import attach, get_current
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

import otelctx
from otelctx.boundaries import processes, thread_pools, threads
from otelctx.detect import findings, places, switch, works
from otelctx.errors import LeakError
from otelctx.integrations.asgi import OtelctxMiddleware
from otelctx.integrations.wsgi import OtelctxMiddleware as WSGIMiddleware

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

BOUNDARIES = (threads, thread_pools, processes)


@pytest.fixture(autouse=True)
def _on() -> Iterator[None]:
    for boundary in BOUNDARIES:
        boundary.install()
    switch.install("warn")
    yield
    switch.uninstall()
    for boundary in reversed(BOUNDARIES):
        boundary.uninstall()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "otelctx.detect"]


def line_of(function: Callable[..., Any], text: str) -> str:
    """Return what a message says of the line of *function* that contains *text*."""
    code = function.__code__
    with open(code.co_filename) as file:  # noqa: PTH123 - a test's own source
        lines = file.read().split("\n")
    number = next(n for n, line in enumerate(lines, 1) if n >= code.co_firstlineno and text in line)
    return f"{code.co_filename}:{number} in {code.co_name}()"


def leave_a_thread_behind() -> None:
    """Log to standard error, where the parent sees it, and start a thread that goes on."""
    logging.getLogger("otelctx.detect").addHandler(logging.StreamHandler())
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()


def start_thread(wait: threading.Event) -> Any:
    thread = threading.Thread(target=wait.wait)
    thread.start()
    return thread.join


def start_timer(wait: threading.Event) -> Any:
    timer = threading.Timer(0, wait.wait)
    timer.start()
    return timer.join


def start_job(wait: threading.Event) -> Any:
    pool = ThreadPoolExecutor(1)
    pool.submit(wait.wait)
    return pool.shutdown


def start_job_of_thread_pool(wait: threading.Event) -> Any:
    pool = ThreadPool(1)
    pool.apply_async(wait.wait)
    return lambda: (pool.close(), pool.join())


def start_job_elsewhere(wait: threading.Event) -> Any:
    event = multiprocessing.get_context("spawn").Manager()
    held = event.Event()
    pool = ProcessPoolExecutor(1)
    pool.submit(held.wait)
    return lambda: (wait.wait(), held.set(), pool.shutdown(), event.shutdown())


def start_process(wait: threading.Event) -> Any:
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=held.wait)
    process.start()
    return lambda: (wait.wait(), held.set(), process.join(), process.close())


STARTERS = [
    (start_thread, "thread.start()"),
    (start_timer, "timer.start()"),
    (start_job, "pool.submit"),
    (start_job_of_thread_pool, "pool.apply_async"),
    (start_job_elsewhere, "pool.submit"),
    (start_process, "process.start()"),
]


class TestThreadsAndProcesses:
    """Work that other threads and processes do."""

    @pytest.mark.parametrize(("start", "line"), STARTERS)
    def test_what_still_runs_is_told_with_its_place_once(
        self, start: Callable[..., Any], line: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        wait = threading.Event()
        ends = []
        for _ in range(2):
            with otelctx.request():
                ends.append(start(wait))
        wait.set()
        for end in ends:
            end()
        (message,) = told(caplog)
        assert message.startswith("Leak: a ")
        assert f" that was started at {line_of(start, line)} still runs" in message

    def test_a_timer_is_told_where_opentelemetry_has_its_own_start(self, caplog: pytest.LogCaptureFixture) -> None:
        switch.uninstall()
        ThreadingInstrumentor().instrument()
        ThreadingInstrumentor().uninstrument()
        switch.install("warn")
        wait = threading.Event()
        with otelctx.request():
            end = start_timer(wait)
        wait.set()
        end()
        assert len(told(caplog)) == 1

    @pytest.mark.parametrize(("start", "line"), STARTERS)
    def test_what_is_done_is_not(self, start: Callable[..., Any], line: str, caplog: pytest.LogCaptureFixture) -> None:
        wait = threading.Event()
        wait.set()
        with otelctx.request():
            start(wait)()
        assert told(caplog) == []

    def test_nor_what_runs_in_no_request(self, caplog: pytest.LogCaptureFixture) -> None:
        wait = threading.Event()
        with otelctx.request():
            end = Context().run(start_thread, wait)
        wait.set()
        end()
        assert told(caplog) == []

    @pytest.mark.parametrize("name", ["map_async", "starmap_async"])
    def test_a_map_that_nobody_waits_for(self, name: str, caplog: pytest.LogCaptureFixture) -> None:
        wait = threading.Event()
        with ThreadPool(1) as pool:
            with otelctx.request():
                result = getattr(pool, name)(lambda *_: wait.wait(), [()])
            wait.set()
            result.get()
        (message,) = told(caplog)
        assert line_of(self.test_a_map_that_nobody_waits_for, "result = ") in message

    def test_what_outlives_a_job_in_another_process(self, capfd: pytest.CaptureFixture[str]) -> None:
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool, otelctx.request():
            pool.submit(leave_a_thread_behind).result()
        assert (
            f"Leak: a thread that was started at {line_of(leave_a_thread_behind, 'thread.start()')}"
            in capfd.readouterr().err
        )

    def test_a_worker_that_a_job_leaves_in_a_request(self, caplog: pytest.LogCaptureFixture) -> None:
        # Without the boundary of threads, a job runs in the worker's own context.
        switch.uninstall()
        threads.uninstall()
        switch.install("warn")
        with otelctx.request():
            context = get_current()
        with ThreadPoolExecutor(1) as pool:
            with otelctx.request():
                submitted = pool.submit(attach, context)
                submitted.result()
            pool.submit(int).result()
        messages = [message for message in told(caplog) if "has left its worker" in message]
        assert len(messages) == 1
        assert f"at {line_of(self.test_a_worker_that_a_job_leaves_in_a_request, 'submitted = ')} " in messages[0]


class TestTasks:
    """Work of the event loop."""

    @pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
    def test_a_task_and_a_timer(self, run: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
        async def handle() -> None:
            loop = asyncio.get_running_loop()
            with otelctx.request():
                await asyncio.wait_for(asyncio.gather(asyncio.create_task(asyncio.sleep(0)), asyncio.sleep(0)), 60)
                task = asyncio.create_task(asyncio.Event().wait())
                timer = loop.call_later(60, int)
                loop.call_later(60, int).cancel()
            task.cancel()
            timer.cancel()

        run(handle())
        assert [message.partition(" still runs")[0] for message in told(caplog)] == [
            f"Leak: a task that was started at {line_of(handle, 'task = ')}",
            f"Leak: a timer that was started at {line_of(handle, 'timer = ')}",
        ]

    def test_a_task_made_from_another_thread_is_told_with_its_function(self, caplog: pytest.LogCaptureFixture) -> None:
        started, ended = threading.Event(), threading.Event()

        async def forever() -> None:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        with otelctx.request():
            future = asyncio.run_coroutine_threadsafe(forever(), loop)
            started.wait()
        future.cancel()
        ended.wait()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        (message,) = told(caplog)
        assert f"a task that was started at {line_of(forever, 'async def forever')} still" in message


class TestEdges:
    """A request that a server's edge has opened."""

    async def test_asgi(self, caplog: pytest.LogCaptureFixture) -> None:
        tasks = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            tasks.append(asyncio.create_task(asyncio.Event().wait()))

        async def nothing(*_: Any) -> None:
            pass

        await OtelctxMiddleware(app, traced=False)({"type": "http", "headers": []}, nothing, nothing)
        tasks[0].cancel()
        (message,) = told(caplog)
        assert line_of(app, "tasks.append") in message

    @pytest.mark.parametrize("body", [list, iter], ids=["list", "iterator"])
    def test_wsgi(self, body: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
        wait = threading.Event()
        ends = []

        def app(environ: Any, start_response: Any) -> Any:
            ends.append(start_thread(wait))
            return body([b"x"])

        result = WSGIMiddleware(app)({}, lambda *_: None)
        assert list(result) == [b"x"]
        if hasattr(result, "close"):
            assert told(caplog) == []
            result.close()
        wait.set()
        ends[0]()
        (message,) = told(caplog)
        assert line_of(start_thread, "thread.start()") in message


class TestErrorMode:
    """`OTELCTX_DETECT=error`."""

    def test_it_is_raised_at_the_end_of_the_block(self, caplog: pytest.LogCaptureFixture) -> None:
        switch.install("error")
        wait = threading.Event()
        with pytest.raises(LeakError, match=r"in start_thread\(\) still runs"), otelctx.request(user_id="alice"):
            end = start_thread(wait)
        assert otelctx.get("user_id") is None
        wait.set()
        end()
        assert [r.levelno for r in caplog.records if r.name == "otelctx.detect"] == [logging.ERROR]
        findings.check()

    def test_never_in_place_of_the_applications_own(self) -> None:
        switch.install("error")
        wait = threading.Event()
        ends = []

        def fail() -> None:
            with otelctx.request():
                ends.append(start_thread(wait))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        wait.set()
        ends[0]()
        with pytest.raises(LeakError):
            findings.check()
        findings.check()


class TestCosts:
    """What it keeps."""

    def test_nothing_of_a_request_that_is_gone(self) -> None:
        for _ in range(3):
            with otelctx.request():
                start_thread(event := threading.Event())
                event.set()
        gc.collect()
        assert len(works._by_request) == 0

    def test_so_many_works_of_one_request_and_so_many_places(self, caplog: pytest.LogCaptureFixture) -> None:
        with otelctx.request():
            for _ in range(3 * works.MAX_FOR_EACH_REQUEST):
                works.start("task")
            (kept,) = works._by_request.values()
            assert len(kept) <= works.MAX_FOR_EACH_REQUEST
        for number in range(findings.MAX_PLACES + 10):
            findings.leak("task", places.Place("x.py", number, "f"))
        assert len(told(caplog)) == findings.MAX_PLACES

    def test_off_nothing_of_it_is_left(self) -> None:
        switch.uninstall()
        owners = (threading.Thread, ThreadPoolExecutor, asyncio.BaseEventLoop, logging.Logger, uvloop.Loop)
        before = [dict(vars(owner)) for owner in owners]
        switch.install()
        switch.install()
        assert all(old != dict(vars(owner)) for old, owner in zip(before, owners, strict=True))
        switch.uninstall()
        assert before == [dict(vars(owner)) for owner in owners]
