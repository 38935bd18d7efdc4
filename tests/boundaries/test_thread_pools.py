"""`multiprocessing.pool.ThreadPool`: plain OpenTelemetry runs the second submitter's job as the first one's."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

import otelctx
from otelctx import bind, get, request
from otelctx.boundaries import thread_pools, threads

METHODS = ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered")


@pytest.fixture(autouse=True, params=["alone", "with OTel's"])
def _installed(request: pytest.FixtureRequest) -> Iterator[None]:
    before = [getattr(ThreadPool, name) for name in METHODS]
    own = {*vars(ThreadPool)}
    theirs = ThreadingInstrumentor()
    threads.install()
    thread_pools.install()
    if request.param != "alone":
        theirs.instrument()
    yield
    if request.param != "alone":
        theirs.uninstrument()
        del threading.Timer.start  # which they leave behind
    thread_pools.uninstall()
    threads.uninstall()
    assert [getattr(ThreadPool, name) for name in METHODS] == before
    assert {*vars(ThreadPool)} == own


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    """A pool of one thread, which was made inside a request."""
    with request(user_id="maker"):
        pool = ThreadPool(1)
    yield pool
    pool.close()
    pool.join()


def user(*_: object) -> object:
    return get("user_id")


WAYS: dict[str, Callable[[ThreadPool], object]] = {
    "apply": lambda pool: pool.apply(user),
    "apply_async": lambda pool: pool.apply_async(user).get(),
    "map": lambda pool: pool.map(user, [1])[0],
    "map_async": lambda pool: pool.map_async(user, [1]).get()[0],
    "starmap": lambda pool: pool.starmap(user, [(1, 2)])[0],
    "starmap_async": lambda pool: pool.starmap_async(user, [(1, 2)]).get()[0],
    "imap": lambda pool: next(pool.imap(user, [1])),
    "imap in chunks": lambda pool: next(iter(pool.imap(user, [1, 2], chunksize=2))),
    "imap_unordered": lambda pool: next(pool.imap_unordered(user, [1])),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_job_runs_in_its_submitters_request(way: str, pool: ThreadPool) -> None:
    for submitter in ("alice", "bob"):
        with request(user_id=submitter):
            assert WAYS[way](pool) == submitter
    assert WAYS[way](pool) is None


def test_set_comes_back_and_bind_does_not(pool: ThreadPool) -> None:
    def work() -> None:
        otelctx.set(user_id="set there")
        bind(step="left open").__enter__()

    with request(user_id="alice"):
        pool.apply(work)
        assert (get("user_id"), get("step")) == ("set there", None)
        assert pool.apply(get, ("step",)) is None


@pytest.mark.parametrize("positional", [True, False])
def test_callbacks_run_in_the_request_that_gave_them(pool: ThreadPool, positional: bool) -> None:
    seen: queue.Queue[Any] = queue.Queue()

    def callback(_: object) -> None:
        seen.put(get("user_id"))

    for submitter in ("alice", "bob"):
        with request(user_id=submitter):
            if positional:
                pool.apply_async(int, (), {}, callback)
                pool.map_async(lambda _: 1 // 0, [1], None, None, callback)
            else:
                pool.apply_async(int, callback=callback)
                pool.starmap_async(lambda *_: 1 // 0, [(1, 2)], error_callback=callback)
        assert [seen.get(), seen.get()] == [submitter, submitter]


def test_several_workers_run_one_call_at_once() -> None:
    barrier = threading.Barrier(3)

    def work(_: int) -> object:
        barrier.wait()
        return get("user_id")

    with ThreadPool(3) as pool, request(user_id="alice"):
        assert pool.map(work, range(3), chunksize=1) == ["alice"] * 3


def test_what_is_iterated_lazily_is_iterated_in_the_request_that_gave_it(pool: ThreadPool) -> None:
    def items() -> Iterator[object]:
        yield get("user_id")
        with bind(user_id="bound"):
            yield get("user_id")
        raise KeyError("items")

    with request(user_id="alice"):
        results = pool.imap(str, items())
    assert [next(results), next(results)] == ["alice", "bound"]
    with pytest.raises(KeyError, match="items"):
        next(results)
    with pytest.raises(TypeError):
        next(pool.imap(str, None))  # type: ignore[arg-type]


def test_an_exception_carries_and_nothing_remains(pool: ThreadPool) -> None:
    with request(user_id="alice"), pytest.raises(ZeroDivisionError):
        pool.apply(lambda: 1 // 0)
    assert pool.apply(user) is None


def test_the_initializer_runs_in_no_request() -> None:
    seen: list[object] = []
    with request(user_id="maker"), ThreadPool(1, lambda: seen.append(get("user_id"))) as pool:
        pool.apply(int)
    assert seen == [None]
