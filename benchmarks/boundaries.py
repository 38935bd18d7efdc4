"""
What each boundary costs: plain Python, OpenTelemetry's threading instrumentor, and otelctx, side by side.

Each variant runs in a process of its own, and they take turns, so that what else the machine does hits all alike.
Everything is done inside a request (or with a baggage entry, where there is no otelctx). Medians of all turns.
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
from opentelemetry.context import attach

VARIANTS = ("python", "otel", "otelctx")
RESULTS = Path(__file__).parent / "results" / "boundaries.json"


def nothing(*_: object) -> None:
    """Be the job."""


def per_call(count: int, call: Callable[[], object]) -> float:
    """Return how many microseconds one call takes, of so many in a row."""
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count * 1e6


def executor_submit(scale: int, pools: dict[str, Any]) -> float:
    return per_call(400 * scale, lambda: pools["threads"].submit(nothing).result())


def process_submit(scale: int, pools: dict[str, Any]) -> float:
    return per_call(40 * scale, lambda: pools["processes"].submit(nothing).result())


def pool_apply(scale: int, pools: dict[str, Any]) -> float:
    return per_call(200 * scale, lambda: pools["pool"].apply(nothing))


def thread_start(scale: int, _: dict[str, Any]) -> float:
    def run() -> None:
        thread = Thread(target=nothing)
        thread.start()
        thread.join()

    return per_call(200 * scale, run)


def done_callback(scale: int, _: dict[str, Any]) -> float:
    def run() -> None:
        future: Future[None] = Future()
        future.add_done_callback(nothing)
        future.set_result(None)

    return per_call(1000 * scale, run)


def create_task(scale: int, _: dict[str, Any]) -> float:
    async def job() -> None:
        return

    async def run() -> float:
        count = 1000 * scale
        began = time.perf_counter()
        for _ in range(count):
            await asyncio.create_task(job())
        return (time.perf_counter() - began) / count * 1e6

    return asyncio.run(run())


def call_soon(scale: int, _: dict[str, Any]) -> float:
    async def run() -> float:
        loop, count = asyncio.get_running_loop(), 1000 * scale
        began = time.perf_counter()
        for _ in range(count):
            loop.call_soon(nothing)
        await asyncio.sleep(0)
        return (time.perf_counter() - began) / count * 1e6

    return asyncio.run(run())


BOUNDARIES: dict[str, Callable[[int, dict[str, Any]], float]] = {
    "`ThreadPoolExecutor.submit` + result": executor_submit,
    "`Thread.start` + join": thread_start,
    "`Future.add_done_callback` + set_result": done_callback,
    "`ThreadPool.apply`": pool_apply,
    "`ProcessPoolExecutor.submit` + result": process_submit,
    "`create_task` + await": create_task,
    "`loop.call_soon`": call_soon,
}


def worker(variant: str, scale: int) -> None:
    """Measure a turn for each line that comes in, and answer with JSON."""
    block: Any = nullcontext()
    if variant == "otel":
        from opentelemetry.instrumentation.threading import ThreadingInstrumentor  # noqa: PLC0415 - this variant's

        ThreadingInstrumentor().instrument()
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


def measured(turns: int, scale: int) -> dict[str, dict[str, list[float]]]:
    """Return microseconds by boundary and variant, one for each turn."""
    command = [sys.executable, __file__, "--scale", str(scale), "--worker"]
    workers = {
        variant: subprocess.Popen([*command, variant], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for variant in VARIANTS
    }
    found: dict[str, dict[str, list[float]]] = {name: {variant: [] for variant in VARIANTS} for name in BOUNDARIES}
    for number in range(turns):
        # Whoever comes first has a cooler machine; so each is first in its turn.
        for variant in (*VARIANTS[number % 3 :], *VARIANTS[: number % 3]):
            process = workers[variant]
            assert process.stdin is not None  # noqa: S101 - for the type checker
            assert process.stdout is not None  # noqa: S101 - for the type checker
            process.stdin.write("\n")
            process.stdin.flush()
            for name, microseconds in json.loads(process.stdout.readline()).items():
                found[name][variant].append(microseconds)
    for process in workers.values():
        process.communicate()
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Return medians in microseconds, with quartiles, as Markdown."""
    lines = ["| boundary | Python | OTel's instrumentor | otelctx | otelctx / OTel |", "|---|---:|---:|---:|---:|"]
    for name, variants in found.items():
        medians = {variant: statistics.median(times) for variant, times in variants.items()}
        cells = []
        for variant, times in variants.items():
            low, _, high = statistics.quantiles(times, n=4)
            cells.append(f"{medians[variant]:.2f} ({low:.2f}-{high:.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} | {medians['otelctx'] / medians['otel']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table and keep the numbers."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=30)
    arguments.add_argument("--scale", type=int, default=2)
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
        "unit": "microseconds per call",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**about, "boundaries": found}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
