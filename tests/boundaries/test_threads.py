"""Threads, their pools and their futures: work runs in the request that handed it over, and leaves nothing behind."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextvars import ContextVar
from typing import Any

import pytest
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.trace import Tracer, get_current_span

import otelctx
from otelctx import bind, get, request
from otelctx.boundaries import threads
from otelctx.core.state import current_request

VARIABLE: ContextVar[str] = ContextVar("variable", default="none")


@pytest.fixture(autouse=True, params=["alone", "OTel's before", "OTel's after"])
def _installed(request: pytest.FixtureRequest) -> Iterator[None]:
    before = threading.Thread.start, ThreadPoolExecutor.submit, Future.add_done_callback
    theirs = ThreadingInstrumentor()
    if request.param == "OTel's before":
        theirs.instrument()
    threads.install()
    if request.param == "OTel's after":
        theirs.instrument()
    yield
    threads.uninstall()
    if request.param != "alone":
        theirs.uninstrument()
        del threading.Timer.start  # which they leave behind
    assert before == (threading.Thread.start, ThreadPoolExecutor.submit, Future.add_done_callback)


def in_thread(function: Callable[[], Any], make: Callable[..., threading.Thread] = threading.Thread) -> Any:
    result: Future[Any] = Future()
    thread = make(target=lambda: result.set_result(function()))
    thread.start()
    thread.join()
    return result.result()


def set_and_bind() -> None:
    otelctx.set(user_id="set there")
    VARIABLE.set("set there")
    bind(step="left open").__enter__()


class TestThread:
    """A thread runs in the context of whoever started it."""

    def test_sees_request_binding_span_and_other_variables(self, tracer: Tracer) -> None:
        with request(user_id="alice"), bind(step="a"), tracer.start_as_current_span("span") as span:
            token = VARIABLE.set("mine")
            seen = in_thread(lambda: (get("user_id"), get("step"), get_current_span(), VARIABLE.get()))
            VARIABLE.reset(token)
        assert seen == ("alice", "a", span, "mine")

    def test_sees_what_its_starter_had_when_it_started(self) -> None:
        with bind(step="made"):
            result: Future[object] = Future()
            thread = threading.Thread(target=lambda: result.set_result(get("step")))
        with bind(step="started"):
            thread.start()
        assert result.result() == "started"

    def test_set_comes_back_and_bind_does_not(self) -> None:
        with request(user_id="alice"):
            in_thread(set_and_bind)
            assert (get("user_id"), get("step"), VARIABLE.get()) == ("set there", None, "none")

    def test_a_timer_does_too(self) -> None:
        result: Future[object] = Future()
        with request(user_id="alice"):
            threading.Timer(0, lambda: result.set_result(get("user_id"))).start()
        assert result.result() == "alice"

    def test_a_subclass_with_its_own_run_does_too(self) -> None:
        class Own(threading.Thread):
            seen: object = None

            def run(self) -> None:
                self.seen = get("user_id")

        with request(user_id="alice"):
            thread = Own()
            thread.start()
        thread.join()
        assert thread.seen == "alice"
        assert "run" not in vars(thread)

    def test_one_that_was_started_outside_serves_each_item_in_its_own_request(self) -> None:
        items: queue.Queue[Callable[[], object] | None] = queue.Queue()
        seen: list[object] = []

        def consume() -> None:
            while (item := items.get()) is not None:
                seen.extend((item(), get("user_id")))

        consumer = threading.Thread(target=consume, daemon=True)
        consumer.start()
        for user in ("alice", "bob"):
            with request(user_id=user):
                items.put(otelctx.wrap(lambda: get("user_id")))
        items.put(None)
        consumer.join()
        assert seen == ["alice", None, "bob", None]

    def test_one_that_was_started_inside_a_request_serves_messages_in_requests_of_their_own(self) -> None:
        messages: queue.Queue[dict[str, str] | None] = queue.Queue()
        seen: list[object] = []

        def consume() -> None:
            while (message := messages.get()) is not None:
                with request(peer="unix", carrier=message):
                    seen.append(get("user_id"))

        with request(user_id="starter"):
            consumer = threading.Thread(target=consume)
            consumer.start()
        with request(user_id="alice"):
            otelctx.inject(message := {})
            messages.put(message)
        messages.put({})
        messages.put(None)
        consumer.join()
        assert seen == ["alice", None]

    def test_thread_locals_are_left_alone(self) -> None:
        local = threading.local()
        local.value = "here"
        with request():
            assert in_thread(lambda: hasattr(local, "value")) is False

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_an_exception_ends_the_thread_as_ever(self) -> None:
        seen: list[Any] = []
        hook, threading.excepthook = threading.excepthook, lambda args: seen.append(args.exc_type)
        try:
            thread = threading.Thread(target=lambda: 1 // 0)
            thread.start()
            thread.join()
        finally:
            threading.excepthook = hook
        assert seen == [ZeroDivisionError]

    def test_the_thread_lets_go_of_the_request_when_it_ends(self) -> None:
        with request():
            held = weakref.ref(current_request())  # type: ignore[arg-type]
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
        if not ThreadingInstrumentor().is_instrumented_by_opentelemetry:  # theirs keeps it as long as the thread object
            assert held() is None

    def test_one_that_could_not_be_started_keeps_a_run_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            message = "can't start new thread"
            raise RuntimeError(message)

        ran: list[str] = []
        thread = threading.Thread()
        thread.run = lambda: ran.append(str(get("user_id")))  # type: ignore[method-assign]
        start = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
        with request(user_id="alice"):
            with monkeypatch.context() as limited:
                limited.setattr(threading, start, refuse)
                with pytest.raises(RuntimeError, match="new thread"):
                    thread.start()
            thread.start()
            thread.join()
        assert ran == ["alice"]

    def test_starting_twice_fails_as_ever(self) -> None:
        thread = threading.Thread(target=int)
        thread.start()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        thread.join()
        assert "run" not in vars(thread)


class TestThreadPoolExecutor:
    """A job runs in its submitter's context; its worker, which serves many, has none."""

    def test_each_job_runs_in_its_submitters_request(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            for user in ("alice", "bob"):
                with request(user_id=user):
                    assert pool.submit(get, "user_id").result() == user
            assert pool.submit(get, "user_id").result() is None

    def test_so_does_each_item_of_map(self) -> None:
        with ThreadPoolExecutor(2) as pool, request(user_id="alice"):
            assert list(pool.map(get, ["user_id"] * 4)) == ["alice"] * 4

    def test_set_comes_back_and_bind_does_not(self) -> None:
        with ThreadPoolExecutor(1) as pool, request(user_id="alice"):
            pool.submit(set_and_bind).result()
            assert (get("user_id"), get("step"), VARIABLE.get()) == ("set there", None, "none")
            assert pool.submit(lambda: (get("step"), VARIABLE.get())).result() == (None, "none")

    def test_the_initializer_runs_in_no_request(self) -> None:
        seen: list[object] = []
        with (
            ThreadPoolExecutor(1, initializer=lambda: seen.append(get("user_id"))) as pool,
            request(user_id="alice"),
        ):
            pool.submit(int).result()
        assert seen == [None]

    def test_an_exception_carries_and_nothing_remains(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            with request(user_id="alice"), pytest.raises(ZeroDivisionError):
                pool.submit(lambda: 1 // 0).result()
            assert pool.submit(get, "user_id").result() is None

    def test_a_cancelled_job_leaves_nothing(self) -> None:
        go = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(go.wait)
            with request(user_id="alice"):
                cancelled = pool.submit(get, "user_id")
            assert cancelled.cancel()
            go.set()
            with request(user_id="bob"):
                assert pool.submit(get, "user_id").result() == "bob"

    def test_as_completed_leaves_the_consumer_alone(self) -> None:
        with ThreadPoolExecutor(2) as pool:
            jobs = []
            for user in ("alice", "bob"):
                with request(user_id=user):
                    jobs.append(pool.submit(get, "user_id"))
            with request(user_id="consumer"):
                seen = {(job.result(), get("user_id")) for job in as_completed(jobs)}
        assert seen == {("alice", "consumer"), ("bob", "consumer")}


class TestDoneCallback:
    """A callback runs in the context of whoever registered it."""

    def test_not_in_that_of_the_job(self) -> None:
        seen: queue.Queue[object] = queue.Queue()
        go = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            with request(user_id="alice"):
                job = pool.submit(go.wait)
            with request(user_id="bob"):
                job.add_done_callback(lambda _: seen.put(get("user_id")))
            job.add_done_callback(lambda _: seen.put(get("user_id")))
            go.set()
        assert [seen.get(), seen.get()] == ["bob", None]

    def test_not_in_that_of_whoever_sets_the_result_or_cancels(self) -> None:
        for finish in (lambda future: future.set_result(1), Future.cancel):
            seen: list[object] = []
            future: Future[int] = Future()
            with request(user_id="alice"):
                future.add_done_callback(lambda _, seen=seen: seen.append(get("user_id")))  # type: ignore[misc]
            with request(user_id="bob"):
                finish(future)
            assert seen == ["alice"]

    def test_of_a_future_that_is_done_runs_at_once(self) -> None:
        seen: list[object] = []
        future: Future[int] = Future()
        future.set_result(1)
        with request(user_id="alice"):
            future.add_done_callback(lambda done: seen.extend((get("user_id"), done)))
        assert seen == ["alice", future]
