"""
What each boundary costs: plain Python, OpenTelemetry's instrumentors of threading and asyncio, and otelctx.

Each variant runs in a process of its own, and they take turns, so that what else the machine does hits all alike.
Everything is done inside a request (or with a baggage entry, where there is no otelctx). Medians of all turns, of the
time that passes and of the CPU time of the process with all its threads, which other load disturbs less.
"""

# ruff: noqa: D103, T201 - a script: the table names what is measured, and this prints it

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from importlib.metadata import version
from multiprocessing.pool import ThreadPool
from pathlib import Path
from threading import Thread
from typing import Any

from opentelemetry import baggage
from opentelemetry.context import attach, detach, get_current

VARIANTS = ("python", "otel", "otelctx")
RESULTS = Path(__file__).parent / "results"

# Microseconds per call that pass, and those that the process computes.
Times = tuple[float, float]


def nothing(*_: object) -> None:
    """Be the job."""


class Clock:
    """Both clocks, from now on."""

    def __init__(self) -> None:
        """Begin now."""
        self._passed = time.perf_counter()
        self._computed = time.process_time()

    def per_call(self, count: int) -> Times:
        """Return what each of *count* calls has taken since."""
        passed, computed = time.perf_counter() - self._passed, time.process_time() - self._computed
        return passed / count * 1e6, computed / count * 1e6


def per_call(count: int, call: Callable[[], object]) -> Times:
    """Return what one call takes, of so many in a row."""
    clock = Clock()
    for _ in range(count):
        call()
    return clock.per_call(count)


def executor_submit(scale: int, pools: dict[str, Any]) -> Times:
    return per_call(400 * scale, lambda: pools["threads"].submit(nothing).result())


def process_submit(scale: int, pools: dict[str, Any]) -> Times:
    return per_call(40 * scale, lambda: pools["processes"].submit(nothing).result())


def pool_apply(scale: int, pools: dict[str, Any]) -> Times:
    return per_call(200 * scale, lambda: pools["pool"].apply(nothing))


def thread_start(scale: int, _: dict[str, Any]) -> Times:
    def run() -> None:
        thread = Thread(target=nothing)
        thread.start()
        thread.join()

    return per_call(200 * scale, run)


def done_callback(scale: int, _: dict[str, Any]) -> Times:
    def run() -> None:
        future: Future[None] = Future()
        future.add_done_callback(nothing)
        future.set_result(None)

    return per_call(1000 * scale, run)


def create_task(scale: int, _: dict[str, Any]) -> Times:
    async def job() -> None:
        return

    async def run() -> Times:
        count, clock = 1000 * scale, Clock()
        for _ in range(count):
            await asyncio.create_task(job())
        return clock.per_call(count)

    return asyncio.run(run())


def read_context(scale: int, _: dict[str, Any]) -> Times:
    return per_call(5000 * scale, get_current)


def attach_and_detach(scale: int, _: dict[str, Any]) -> Times:
    context = get_current()
    return per_call(2000 * scale, lambda: detach(attach(context)))


def call_soon(scale: int, _: dict[str, Any]) -> Times:
    async def run() -> Times:
        loop, count, clock = asyncio.get_running_loop(), 1000 * scale, Clock()
        for _ in range(count):
            loop.call_soon(nothing)
        await asyncio.sleep(0)
        return clock.per_call(count)

    return asyncio.run(run())


BOUNDARIES: dict[str, Callable[[int, dict[str, Any]], Times]] = {
    "`ThreadPoolExecutor.submit` + result": executor_submit,
    "`Thread.start` + join": thread_start,
    "`Future.add_done_callback` + set_result": done_callback,
    "`ThreadPool.apply`": pool_apply,
    "`ProcessPoolExecutor.submit` + result": process_submit,
    "`create_task` + await": create_task,
    "`loop.call_soon`": call_soon,
    "`get_current`": read_context,
    "`attach` + `detach`": attach_and_detach,
}

# What OpenTelemetry's instrumentors replace; the others are compared with plain Python.
BY_OTEL = frozenset({"`ThreadPoolExecutor.submit` + result", "`Thread.start` + join", "`create_task` + await"})


def worker(variant: str, scale: int) -> None:
    """Measure a turn for each line that comes in, and answer with JSON."""
    block: Any = nullcontext()
    if variant == "otel":
        from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor  # noqa: PLC0415 - this variant's
        from opentelemetry.instrumentation.threading import ThreadingInstrumentor  # noqa: PLC0415 - this variant's

        ThreadingInstrumentor().instrument()
        AsyncioInstrumentor().instrument()
    elif variant == "otelctx":
        import otelctx  # noqa: PLC0415 - this variant's
        from otelctx.setup import install  # noqa: PLC0415 - this variant's

        install.install()
        block = otelctx.request(user_id="alice")
    if variant != "otelctx":
        attach(baggage.set_baggage("user_id", "alice"))
    method = multiprocessing.get_context("forkserver")
    with block, ThreadPoolExecutor(1) as threads, ThreadPool(1) as pool, ProcessPoolExecutor(1, method) as processes:
        pools = {"threads": threads, "pool": pool, "processes": processes}
        for measure in BOUNDARIES.values():
            measure(1, pools)
        for _ in sys.stdin:
            turn = {name: measure(scale, pools) for name, measure in BOUNDARIES.items()}
            print(json.dumps(turn), flush=True)


Found = dict[str, dict[str, list[Times]]]


def measured(turns: int, scale: int) -> Found:
    """Return what was measured by boundary and variant, once for each turn."""
    command = [sys.executable, __file__, "--scale", str(scale), "--worker"]
    workers = {
        variant: subprocess.Popen([*command, variant], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for variant in VARIANTS
    }
    found: Found = {name: {variant: [] for variant in VARIANTS} for name in BOUNDARIES}
    for number in range(turns):
        # Whoever comes first has a cooler machine; so each is first in its turn.
        for variant in (*VARIANTS[number % 3 :], *VARIANTS[: number % 3]):
            process = workers[variant]
            assert process.stdin is not None  # noqa: S101 - for the type checker
            assert process.stdout is not None  # noqa: S101 - for the type checker
            process.stdin.write("\n")
            process.stdin.flush()
            for name, (passed, computed) in json.loads(process.stdout.readline()).items():
                found[name][variant].append((passed, computed))
    for process in workers.values():
        process.communicate()
    return found


def table(found: Found) -> str:
    """Return medians in microseconds of CPU time, with quartiles, and ratios of both times, as Markdown."""
    lines = [
        "| boundary | Python | OTel's instrumentors | otelctx | compared with | CPU | wall |",
        "|---|---:|---:|---:|---|---:|---:|",
    ]
    for name, variants in found.items():
        cells = []
        for times in variants.values():
            low, middle, high = statistics.quantiles([computed for _, computed in times], n=4)
            cells.append(f"{middle:.2f} ({low:.2f}-{high:.2f})")
        other = "otel" if name in BY_OTEL else "python"
        passed, computed = (_ratio(variants, other, clock) for clock in (0, 1))
        lines.append(f"| {name} | {' | '.join(cells)} | {LABELS[other]} | {computed:.2f} | {passed:.2f} |")
    return "\n".join(lines)


LABELS = {"otel": "OTel", "python": "Python"}


def _ratio(variants: dict[str, list[Times]], other: str, clock: int) -> float:
    own, others = (statistics.median([times[clock] for times in variants[name]]) for name in ("otelctx", other))
    return own / others


def main() -> None:
    """Measure, print the table and keep the numbers."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=60)
    arguments.add_argument("--scale", type=int, default=5)
    arguments.add_argument("--worker", choices=VARIANTS)
    options = arguments.parse_args()
    if options.worker:
        worker(options.worker, options.scale)
        return
    found = measured(options.turns, options.scale)
    print(table(found))
    about = {
        "python": platform.python_version(),
        "opentelemetry-api": version("opentelemetry-api"),
        "turns": options.turns,
        "unit": "microseconds per call: those that pass, and those that the process computes",
    }
    RESULTS.mkdir(exist_ok=True)
    rounded = {
        name: {variant: [[round(time, 3) for time in turn] for turn in times] for variant, times in variants.items()}
        for name, variants in found.items()
    }
    (RESULTS / "boundaries.json").write_text(json.dumps({**about, "boundaries": rounded}) + "\n", "utf-8")


if __name__ == "__main__":
    main()
