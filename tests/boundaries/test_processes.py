"""Process pools: a job runs in the request that submitted it. What it logs is in tests/zero_code/test_scripts.py."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from opentelemetry.baggage import get_all
from opentelemetry.trace import Tracer, format_trace_id, get_current_span

import otelctx
from otelctx.boundaries import processes

# Python says so of every fork while a thread runs; here nothing holds a lock meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    processes.install()
    yield
    processes.uninstall()


def look() -> dict[str, Any]:
    """Say what a job sees, and leave something behind for the next one."""
    seen = {
        "pid": os.getpid(),
        "fields": dict(otelctx.current()),
        "baggage": {key: str(value) for key, value in get_all().items()},
        "trace": format_trace_id(get_current_span().get_span_context().trace_id),
    }
    otelctx.set(user_id="left behind")
    return seen


class Odd:
    """A value that cannot leave its process."""

    def __reduce__(self) -> str:
        raise TypeError("not to be pickled")


@pytest.fixture(scope="module", params=["fork", "spawn"])
def pool(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(request.param)) as pool:
        yield pool


class TestPool:
    def test_each_job_sees_the_request_that_submitted_it(self, pool: ProcessPoolExecutor) -> None:
        with otelctx.request(request_id="of-alice", user_id="alice"):
            first = pool.submit(look)
        with otelctx.request(request_id="of-bob", user_id="bob"):
            second = pool.submit(look)
        assert first.result()["fields"] == {"request_id": "of-alice", "user_id": "alice"}
        assert second.result()["fields"] == {"request_id": "of-bob", "user_id": "bob"}
        assert first.result()["pid"] == second.result()["pid"] != os.getpid()

    def test_a_job_of_no_request_sees_nothing(self, pool: ProcessPoolExecutor) -> None:
        with otelctx.request(user_id="alice"):
            pool.submit(look).result()
        assert pool.submit(look).result()["fields"] == {}

    def test_local_values_and_bindings_cross_and_objects_do_not(self, pool: ProcessPoolExecutor) -> None:
        with otelctx.request(request_id="r", tier=3, odd=Odd()), otelctx.bind(step="bound"):
            assert pool.submit(look).result()["fields"] == {"request_id": "r", "tier": 3, "step": "bound"}

    def test_baggage_shows_remote_fields_only(self, pool: ProcessPoolExecutor) -> None:
        with otelctx.request(request_id="r", user_id="Jürgen", tier=3):
            assert pool.submit(look).result()["baggage"] == {"request_id": "r", "user_id": "Jürgen"}

    def test_the_trace_goes_on(self, pool: ProcessPoolExecutor, tracer: Tracer) -> None:
        with tracer.start_as_current_span("outer") as span:
            trace_id = format_trace_id(span.get_span_context().trace_id)
            assert pool.submit(look).result()["trace"] == trace_id

    def test_what_a_job_sets_stays_in_its_process(self, pool: ProcessPoolExecutor) -> None:
        with otelctx.request(user_id="alice"):
            pool.submit(look).result()
            assert otelctx.get("user_id") == "alice"


class TestUninstall:
    def test_the_very_same_function_is_back(self) -> None:
        processes.uninstall()
        before = ProcessPoolExecutor.submit
        processes.install()
        processes.install()
        assert ProcessPoolExecutor.submit is not before
        processes.uninstall()
        assert ProcessPoolExecutor.submit is before
