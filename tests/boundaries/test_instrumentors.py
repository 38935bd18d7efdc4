"""Boundaries as OpenTelemetry's instrumentors: each by itself, and beside OpenTelemetry's own in any order."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import permutations
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

import otelctx
from otelctx.setup import boundaries, instrumentor

OWNERS = (threading.Thread, threading.Timer, ThreadPoolExecutor, ProcessPoolExecutor, Future, ThreadPool, Pool)
OWNERS = (*OWNERS, asyncio, asyncio.subprocess, asyncio.SelectorEventLoop, subprocess.Popen)
OURS = [kind for kind in vars(instrumentor).values() if isinstance(kind, type) and getattr(kind, "boundary", None)]


def everything() -> dict[tuple[object, str], int]:
    """Return which objects the attributes are of all that boundaries patch."""
    return {(owner, name): id(value) for owner in OWNERS for name, value in vars(owner).items()}


def look() -> list[object]:
    """Return what the other side of several boundaries sees."""

    async def on_loop() -> list[object]:
        async def task() -> object:
            return otelctx.get("user_id")

        loop = asyncio.get_running_loop()
        return [
            await asyncio.create_task(task()),
            await asyncio.ensure_future(task()),
            (await asyncio.gather(task(), task()))[1],
            await asyncio.wait_for(task(), 60),
            await asyncio.to_thread(otelctx.get, "user_id"),
            await loop.run_in_executor(None, otelctx.get, "user_id"),
            await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(task(), loop).result()),
        ]

    result: Future[object] = Future()
    thread = threading.Thread(target=lambda: result.set_result(otelctx.get("user_id")))
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:
        return [
            result.result(),
            executor.submit(otelctx.get, "user_id").result(),
            pool.apply(otelctx.get, ("user_id",)),
            *asyncio.run(on_loop()),
        ]


@pytest.fixture(autouse=True)
def _uninstrumented() -> Iterator[None]:
    before = everything()
    yield
    # What OTel's threading instrumentor makes a method of its own, and leaves one.
    if "start" in vars(threading.Timer):
        del threading.Timer.start
    assert before == everything()


class TestEach:
    """One boundary by itself."""

    def test_each_has_an_instrumentor(self) -> None:
        assert {*boundaries.BOUNDARIES} == {kind.boundary for kind in OURS}

    @pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.boundary)
    def test_it_can_be_instrumented_and_uninstrumented_again_and_again(
        self, kind: Callable[[], BaseInstrumentor]
    ) -> None:
        for _ in range(2):
            kind().instrument()
            kind().uninstrument()

    def test_it_leaves_the_others_as_they_are(self) -> None:
        instrumentor.ThreadsInstrumentor().instrument()
        instrumentor.ProcessesInstrumentor().instrument()
        submit = ProcessPoolExecutor.submit
        instrumentor.ThreadsInstrumentor().uninstrument()
        assert submit is ProcessPoolExecutor.submit
        assert not hasattr(ThreadPoolExecutor.submit, "__wrapped__")
        instrumentor.ProcessesInstrumentor().uninstrument()


class AllOfOurs:
    """The instrumentors of all boundaries, as if they were one."""

    def instrument(self) -> None:
        for kind in OURS:
            kind().instrument()

    def uninstrument(self) -> None:
        for kind in OURS:
            kind().uninstrument()


KINDS = (ThreadingInstrumentor, AsyncioInstrumentor, AllOfOurs)


class TestBesideOpenTelemetrys:
    """OpenTelemetry's own threading and asyncio instrumentors and all of ours, in every order."""

    @pytest.mark.parametrize("uninstalled", [*permutations(range(3))], ids=str)
    @pytest.mark.parametrize("installed", [*permutations(range(3))], ids=str)
    def test_the_request_is_seen_and_the_very_same_objects_come_back(
        self, installed: tuple[int, ...], uninstalled: tuple[int, ...]
    ) -> None:
        for number in installed:
            KINDS[number]().instrument()
        with otelctx.request(user_id="alice"):
            first = look()
        with otelctx.request(user_id="bob"):
            second = look()
        outside = look()
        for number in uninstalled:
            KINDS[number]().uninstrument()
        assert {"alice"} == {*first}
        assert {"bob"} == {*second}
        assert {None} == {*outside}


def run(folder: Path, **environment: str) -> Any:
    """Return what a program under `otelctx run` sees in a thread pool and in a process."""
    script = folder / "program.py"
    script.write_text(
        textwrap.dedent("""
        import json
        from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
        from multiprocessing import get_context
        import otelctx
        if __name__ == "__main__":
            with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(1, get_context("forkserver")) as processes:
                with otelctx.request(user_id="alice"):
                    print(json.dumps([pool.submit(otelctx.get, "user_id").result() for pool in (threads, processes)]))
        """)
    )
    none = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("otelctx")), "run", str(script)],
        capture_output=True, text=True, check=False, timeout=120, env=os.environ | none | environment,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


class TestSwitchedOff:
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names boundaries as it names any instrumentation."""

    def test_none_is_by_default(self, tmp_path: Path) -> None:
        assert ["alice", "alice"] == run(tmp_path)

    def test_one_is(self, tmp_path: Path) -> None:
        others = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, otelctx-processes"}
        assert ["alice", None] == run(tmp_path, **others)

    def test_one_that_the_configuration_turns_off_stays_so_for_its_instrumentor(self) -> None:
        before = subprocess.Popen.__init__
        boundaries.turn_off("subprocesses")
        instrumentor.SubprocessesInstrumentor().instrument()
        assert before is subprocess.Popen.__init__
        instrumentor.SubprocessesInstrumentor().uninstrument()
        boundaries.uninstall()

    def test_all_are(self) -> None:
        assert [] == boundaries.enabled({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"})
