"""Values on their way to another process: what cannot be pickled stays behind alone, and is reported by its name."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

import otelctx
from otelctx.boundaries import packing, processes

# Python says so of every fork while a thread runs; here nothing holds a lock meanwhile.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    packing._names.clear()
    processes.install()
    yield
    processes.uninstall()
    packing._names.clear()


def user() -> object:
    return otelctx.get("user_id")


def lack(name: str) -> tuple[object, list[str]]:
    """Return the value of a field, and what is logged when it is asked for."""
    messages: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    handler = Handler()
    logging.getLogger("otelctx").addHandler(handler)
    value = otelctx.get(name)
    logging.getLogger("otelctx").removeHandler(handler)
    return value, messages


def unreadable() -> object:
    raise ValueError("not here")


class Odd:
    """A value that cannot leave its process."""

    def __reduce__(self) -> str:
        raise TypeError("not to be pickled")


class Trap:
    """A value that leaves its process and cannot be read in another."""

    def __reduce__(self) -> tuple[Any, ...]:
        return unreadable, ()


@pytest.fixture(scope="module", params=["fork", "forkserver", "spawn"])
def executor(request: pytest.FixtureRequest) -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(request.param)) as pool:
        yield pool


class TestValues:
    """Values that are no plain text, number or truth."""

    def test_what_can_be_pickled_crosses(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.request(cart=("apple", {"pear": 2})):
            assert executor.submit(otelctx.get, "cart").result() == ("apple", {"pear": 2})

    @pytest.mark.parametrize("value", [Odd(), lambda: None, threading.Lock(), bytes(100_000)], ids=type)
    def test_what_cannot_stays_behind_alone_and_is_reported_by_name(
        self, value: object, executor: ProcessPoolExecutor, caplog: pytest.LogCaptureFixture
    ) -> None:
        with otelctx.request(user_id="alice", cart=value):
            jobs = [executor.submit(lack, "cart") for _ in range(2)]
            assert executor.submit(user).result() == "alice"
            results = [job.result() for job in jobs]
        assert [None, None] == [result[0] for result in results]
        assert ["Field 'cart' does not cross"] == [record.getMessage()[:27] for record in caplog.records]

    def test_get_says_so_where_it_is_missed(self) -> None:
        with ProcessPoolExecutor(1) as pool, otelctx.request(cart=Odd()):
            value, messages = pool.submit(lack, "cart").result()
            again, nothing = pool.submit(lack, "cart").result()
        assert (None, None, []) == (value, again, nothing)
        (message,) = messages
        assert message.startswith("Field 'cart' has a value in the process that this work comes from")

    def test_what_cannot_be_read_over_there_breaks_nothing(self, executor: ProcessPoolExecutor) -> None:
        with otelctx.request(user_id="alice", cart=Trap()):
            value, _ = executor.submit(lack, "cart").result()
            assert (None, "alice") == (value, executor.submit(user).result())

    def test_reports_stay_bounded_however_many_names_there_are(self, caplog: pytest.LogCaptureFixture) -> None:
        for number in range(300):
            packing.pack({f"name_{number}": Odd()})
        assert len(packing._names) == packing._MAX_NAMES
        assert len(caplog.records) == packing._MAX_NAMES + 1
