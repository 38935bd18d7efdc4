"""Threads and thread pools: work belongs to who handed it over, and the worker keeps nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from opentelemetry.context import Context, get_current
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.trace import Tracer, get_current_span

import otelctx
from otelctx.boundaries import threads

theirs: ContextVar[str] = ContextVar("theirs", default="unset")


@pytest.fixture(params=["alone", "inside OpenTelemetry's", "outside OpenTelemetry's"], autouse=True)
def _installed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Our patches, by themselves and with OpenTelemetry's own on either side of them."""
    instrumentor = ThreadingInstrumentor()
    if request.param == "outside OpenTelemetry's":
        instrumentor.instrument()
    threads.install()
    if request.param == "inside OpenTelemetry's":
        instrumentor.instrument()
    yield
    if request.param == "inside OpenTelemetry's":
        instrumentor.uninstrument()
    threads.uninstall()
    if request.param == "outside OpenTelemetry's":
        instrumentor.uninstrument()


def user() -> object:
    return otelctx.get("user_id")


class TestPool:
    """`concurrent.futures.ThreadPoolExecutor`, and all that is built on it."""

    def test_work_sees_the_request_of_whoever_submitted_it(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            with otelctx.request(user_id="alice"):
                first = pool.submit(user)
            with otelctx.request(user_id="bob"):
                second = pool.submit(user)
            assert (first.result(), second.result()) == ("alice", "bob")

    def test_a_reused_worker_is_clean(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            with otelctx.request(user_id="alice"):
                pool.submit(user).result()
            assert pool.submit(user).result() is None

    def test_a_worker_itself_runs_in_nobodys_context(self) -> None:
        seen: list[Context] = []
        pool = ThreadPoolExecutor(1, initializer=lambda: seen.append(get_current()))
        with pool, otelctx.request(user_id="alice"):
            pool.submit(user).result()
        assert seen == [{}]

    def test_a_value_set_in_the_worker_is_seen_by_its_request(self) -> None:
        with ThreadPoolExecutor(1) as pool, otelctx.request(user_id="alice"):
            pool.submit(otelctx.set, user_id="bob").result()
            assert user() == "bob"

    def test_a_binding_in_the_worker_stays_there(self) -> None:
        def bound() -> None:
            otelctx.bind(step="in the worker").__enter__()

        with ThreadPoolExecutor(1) as pool, otelctx.request():
            pool.submit(bound).result()
            assert otelctx.get("step") is None
            assert pool.submit(otelctx.get, "step").result() is None

    def test_span_and_other_context_variables_come_along(self, tracer: Tracer) -> None:
        with ThreadPoolExecutor(1) as pool, tracer.start_as_current_span("outer") as span:
            token = theirs.set("set")
            assert pool.submit(get_current_span).result() is span
            assert pool.submit(theirs.get).result() == "set"
            theirs.reset(token)

    def test_map_sees_the_request(self) -> None:
        with ThreadPoolExecutor(2) as pool, otelctx.request(user_id="alice"):
            assert {*pool.map(lambda _: user(), range(8))} == {"alice"}

    def test_an_error_arrives_as_it_is(self) -> None:
        def fail() -> None:
            raise LookupError("theirs")

        with ThreadPoolExecutor(1) as pool, pytest.raises(LookupError, match="theirs"):
            pool.submit(fail).result()

    def test_submit_takes_every_keyword(self) -> None:
        def echo(*args: int, **kwargs: int) -> tuple[object, object]:
            return args, kwargs

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(echo, 1, self=2, fn=3).result() == ((1,), {"self": 2, "fn": 3})


class TestThread:
    def test_it_runs_in_the_context_of_whoever_started_it(self) -> None:
        seen: list[object] = []
        thread = threading.Thread(target=lambda: seen.append(user()))
        with otelctx.request(user_id="alice"):
            thread.start()
        thread.join()
        assert seen == ["alice"]

    def test_a_timer_does_too(self) -> None:
        seen: list[object] = []
        timer = threading.Timer(0, lambda: seen.append(user()))
        with otelctx.request(user_id="alice"):
            timer.start()
        timer.join()
        assert seen == ["alice"]

    def test_a_subclass_with_its_own_run_does_too(self) -> None:
        class Own(threading.Thread):
            seen: object = None

            def run(self) -> None:
                self.seen = user()

        thread = Own()
        with otelctx.request(user_id="alice"):
            thread.start()
        thread.join()
        assert thread.seen == "alice"

    def test_what_it_sets_outside_any_request_is_nobody_elses(self) -> None:
        thread = threading.Thread(target=lambda: otelctx.set(user_id="of the thread"))
        thread.start()
        thread.join()
        assert user() is None

    def test_it_can_be_started_once_only(self) -> None:
        thread = threading.Thread(target=user)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="threads can only be started once"):
            thread.start()


class TestUninstall:
    def test_the_very_same_functions_are_back(self) -> None:
        threads.uninstall()
        before = (threading.Thread.start, ThreadPoolExecutor.submit)
        threads.install()
        threads.install()
        assert threading.Thread.start is not before[0]
        threads.uninstall()
        assert (threading.Thread.start, ThreadPoolExecutor.submit) == before
        threads.install()
