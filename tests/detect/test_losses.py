"""Losses: what happens in no request, in work that a request has started, is told with the place of its start."""

from __future__ import annotations

import _thread
import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from multiprocessing.pool import ThreadPool

import pytest
from opentelemetry.sdk.trace import TracerProvider

import otelctx
from otelctx import Field
from otelctx.boundaries import threads
from otelctx.detect import findings, switch
from otelctx.errors import LossError
from tests.bare_environment import bare_environment


@pytest.fixture(autouse=True)
def _on() -> Iterator[None]:
    threads.install()
    switch.install("warn")
    yield
    switch.uninstall()
    threads.uninstall()


tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")

SIGNS: dict[str, Callable[[], object]] = {
    "a log line": lambda: logging.getLogger("app").warning("working"),
    "a span": lambda: tracer.start_span("work").end(),
    "an outgoing call": lambda: otelctx.inject({}),
    "a look for the required field 'tenant'": lambda: otelctx.get("tenant"),
}


def in_empty_context(function: Callable[[], object]) -> Callable[[], object]:
    return lambda: Context().run(function)


def by_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=in_empty_context(function))
    thread.start()
    thread.join()


def by_low_level_thread(function: Callable[[], object]) -> None:
    done = threading.Event()
    _thread.start_new_thread(lambda: (function(), done.set()), ())
    done.wait()


def by_pool(function: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(in_empty_context(function)).result()


def by_task(function: Callable[[], object]) -> None:
    async def work() -> None:
        Context().run(function)

    async def main() -> None:
        with otelctx.request():
            await asyncio.create_task(work())

    asyncio.run(main())


def by_timer(function: Callable[[], object]) -> None:
    async def main() -> None:
        done = asyncio.Event()
        with otelctx.request():
            asyncio.get_running_loop().call_later(0, lambda: (function(), done.set()), context=Context())
            await done.wait()

    asyncio.run(main())


WAYS = [by_thread, by_low_level_thread, by_pool, by_task, by_timer]


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "otelctx.detect"]


class TestSigns:
    """Where a lost context shows."""

    @pytest.mark.parametrize("sign", SIGNS)
    @pytest.mark.parametrize("way", WAYS)
    def test_each_is_told_once_with_the_place_of_the_start(
        self, way: Callable[..., None], sign: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        otelctx.declare(Field("tenant", required=True))
        for _ in range(2):
            with otelctx.request(tenant="acme"):
                way(SIGNS[sign])
        (message,) = told(caplog)
        function = "main" if way in {by_task, by_timer} else way.__name__
        assert message.startswith(f"Loss: {sign} at {__file__}:")
        assert f" that a request has started at {__file__}:" in message
        assert f" in {function}(). Wrap what it runs with otelctx.wrap" in message

    @pytest.mark.parametrize(
        "name", ["apply", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered"]
    )
    def test_each_way_into_a_thread_pool_is_told(self, name: str, caplog: pytest.LogCaptureFixture) -> None:
        isolated = in_empty_context(SIGNS["a log line"])
        with ThreadPool(1) as pool, otelctx.request():
            submit = getattr(pool, name)
            result = submit(isolated) if name == "apply" else submit(lambda *_: isolated(), [()])
            if name not in {"apply", "map", "starmap"}:
                list(result.get() if name.endswith("async") else result)
        (message,) = told(caplog)
        assert f" in a job that a request has started at {__file__}:" in message

    @pytest.mark.parametrize("sign", SIGNS)
    def test_in_a_request_nothing_is_lost(self, sign: str, caplog: pytest.LogCaptureFixture) -> None:
        otelctx.declare(Field("tenant", required=True))
        with otelctx.request(), ThreadPoolExecutor(1) as pool:
            pool.submit(SIGNS[sign]).result()
        assert told(caplog) == []

    @pytest.mark.parametrize("sign", SIGNS)
    def test_nor_in_work_that_no_request_has_started(self, sign: str, caplog: pytest.LogCaptureFixture) -> None:
        otelctx.declare(Field("tenant", required=True))
        SIGNS[sign]()
        with ThreadPoolExecutor(1) as pool:
            with otelctx.request():
                pool.submit(int).result()
            pool.submit(SIGNS[sign]).result()
        assert told(caplog) == []

    def test_wrapped_it_is_not_lost(self, caplog: pytest.LogCaptureFixture) -> None:
        with otelctx.request():
            by_thread(otelctx.snapshot().wrap(SIGNS["a log line"]))
        assert told(caplog) == []

    def test_what_set_stands_in_for_is_no_request(self, caplog: pytest.LogCaptureFixture) -> None:
        def work() -> None:
            otelctx.set(user_id="alice")
            logging.getLogger("app").warning("working")

        with otelctx.request():
            by_thread(work)
        assert len(told(caplog)) == 1


class TestErrorMode:
    """`OTELCTX_DETECT=error`."""

    def test_a_required_field_raises(self) -> None:
        otelctx.declare(Field("tenant", required=True))
        switch.install("error")
        with otelctx.request(tenant="acme"), pytest.raises(LossError, match="required field 'tenant'"):
            by_pool(SIGNS["a look for the required field 'tenant'"])
        findings.check()

    def test_telemetry_never_does_until_it_is_checked(self, caplog: pytest.LogCaptureFixture) -> None:
        switch.install("error")
        with otelctx.request():
            by_thread(SIGNS["a log line"])
            by_thread(SIGNS["a span"])
        assert [record.levelname for record in caplog.records if record.name == "otelctx.detect"] == ["ERROR"] * 2
        with pytest.raises(LossError, match=r"a log line(.|\n)*a span"):
            findings.check()


SCRIPT = """
import contextvars, logging, sys, threading
from otelctx.setup.install import install, uninstall
import otelctx
install()
with otelctx.request():
    thread = threading.Thread(target=lambda: contextvars.Context().run(logging.warning, "working"))
    thread.start()
    thread.join()
loaded = [name for name in sys.modules if name.startswith("otelctx.detect")]
uninstall()
print(bool(loaded), threading.Thread.start.__module__)
"""


class TestSetting:
    """`OTELCTX_DETECT`."""

    def run(self, setting: str) -> tuple[str, str]:
        process = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=bare_environment() | {"OTELCTX_DETECT": setting},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return process.stdout.strip(), process.stderr

    def test_off_it_is_not_even_loaded(self) -> None:
        printed, logged = self.run("off")
        assert printed == "False threading"
        assert "Loss" not in logged

    def test_on_it_tells(self) -> None:
        printed, logged = self.run("warn")
        assert printed == "True threading"
        assert "Loss: a log line at <string>:" in logged
        assert "in a thread that a request has started at <string>:8 in <module>()" in logged
