"""
What encoding and decoding baggage costs: OpenTelemetry Python's propagator, OpenTelemetry JS's, and otelctx's codec.

Each is a process of its own that times itself, in CPU time. They take turns, each first in its turn; a ratio is of two
times of one turn, and its median over all turns is what counts.
"""

# ruff: noqa: D103, S101, T201 - a script: the table names what is measured, and this prints it

from __future__ import annotations

import argparse
import json
import logging
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "codec.json"

PLAIN = "01a20714-08ae-7fdc-9e65-79b8336deee5"
ENCODED = "Amélie, 28 %"
SIZES = (0, 2, 10, 64)
HOSTILE = {
    "commas": "," * 8192,
    "semicolons": f"k=v{';' * 8189}",
    "percent signs": f"k={'%' * 8190}",
    "bad members": ",".join(["a b=c"] * 1365),
    "non-ASCII": "é" * 8192,
}
VARIANTS = ("otel python", "otel js", "otelctx")


def cases() -> dict[str, dict[str, Any]]:
    """Return what is measured: what to encode or decode, and how often in a row."""
    found: dict[str, dict[str, Any]] = {}
    for kind, text in (("plain", PLAIN), ("encoded", ENCODED)):
        for size in SIZES:
            members = {f"field-{number}": f"{text}{number}" for number in range(size)}
            calls = 4000 // (size + 2)
            found[f"encode {size} {kind}"] = {"encode": members, "calls": calls}
            found[f"decode {size} {kind}"] = {"decode": [header(members)] if size else [], "calls": calls}
    for name, text in HOSTILE.items():
        found[f"decode 8 KiB of {name}"] = {"decode": [text], "calls": 20}
    return found


def header(members: dict[str, str]) -> str:
    from otelctx.propagation.codec import encode  # noqa: PLC0415 - not in the process of another variant

    return encode(members)[0]


def otelctx_call(asked: dict[str, Any]) -> Callable[[], object]:
    """Return what the propagator does with the header, carrier included."""
    from opentelemetry.propagators.textmap import default_getter, default_setter  # noqa: PLC0415

    from otelctx.propagation.codec import decode, encode  # noqa: PLC0415

    if "decode" in asked:
        carrier = {"baggage": asked["decode"]}
        return lambda: decode(default_getter.get(carrier, "baggage") or ())
    members = asked["encode"]

    def inject() -> None:
        text, _ = encode(members)
        if text:
            default_setter.set({}, "baggage", text)

    return inject


def otel_call(asked: dict[str, Any]) -> Callable[[], object]:
    from opentelemetry.baggage import set_baggage  # noqa: PLC0415
    from opentelemetry.baggage.propagation import W3CBaggagePropagator  # noqa: PLC0415
    from opentelemetry.context import Context  # noqa: PLC0415

    propagator = W3CBaggagePropagator()
    context = Context()
    if "decode" in asked:
        carrier = {"baggage": asked["decode"]}
        return lambda: propagator.extract(carrier, context)
    for key, text in asked["encode"].items():
        context = set_baggage(key, text, context)
    return lambda: propagator.inject({}, context)


def worker(variant: str) -> None:
    """Time each case of each line that comes."""
    logging.disable()
    call_of = otel_call if variant == "otel python" else otelctx_call
    for line in sys.stdin:
        times = {}
        for name, asked in json.loads(line).items():
            call = call_of(asked)
            began = time.process_time_ns()
            for _ in range(asked["calls"]):
                call()
            times[name] = (time.process_time_ns() - began) / asked["calls"] / 1000
        print(json.dumps(times), flush=True)


def measured(turns: int, commands: dict[str, list[str]]) -> dict[str, dict[str, list[float]]]:
    """Return microseconds by case and variant, one for each turn."""
    workers = {
        variant: subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for variant, command in commands.items()
    }
    question = json.dumps(cases())
    found: dict[str, dict[str, list[float]]] = {name: {variant: [] for variant in workers} for name in cases()}
    variants = list(workers)
    # The first turn warms up: JavaScript is compiled while it runs.
    for turn in range(-1, turns):
        first = turn % len(variants)
        for variant in variants[first:] + variants[:first]:
            process = workers[variant]
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{question}\n")
            process.stdin.flush()
            for name, microseconds in json.loads(process.stdout.readline()).items():
                if turn >= 0:
                    found[name][variant].append(microseconds)
    for process in workers.values():
        process.communicate()
    return found


def ratio(times: dict[str, list[float]], other: str) -> str:
    pairs = zip(times["otelctx"], times.get(other, ()), strict=False)
    ratios = [ours / theirs for ours, theirs in pairs if theirs]
    return f"{statistics.median(ratios):.2f}" if ratios else ""


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Return medians in microseconds, and medians of the ratios of each turn, as Markdown."""
    lines = [f"| | {' | '.join(VARIANTS)} | / otel python | / otel js |", "|---|---:|---:|---:|---:|---:|"]
    for name, times in found.items():
        cells = [f"{statistics.median(times[variant]):.2f}" if variant in times else "" for variant in VARIANTS]
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio(times, 'otel python')} | {ratio(times, 'otel js')} |")
    return "\n".join(lines)


def commands() -> dict[str, list[str]]:
    """Return how each variant is started; that of JavaScript only where it can be had."""
    from tests.peers.programs import MissingError, node_peer  # noqa: PLC0415 - the project's root is the working directory

    own = [sys.executable, __file__, "--worker"]
    found = {"otel python": [*own, "otel python"]}
    try:
        found["otel js"] = node_peer("timing.mjs")
    except MissingError as missing:
        print(f"Without OpenTelemetry JS: {missing}")
    return {**found, "otelctx": [*own, "otelctx"]}


def main() -> None:
    """Measure, print the table and keep the numbers."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=30)
    arguments.add_argument("--worker", choices=VARIANTS)
    options = arguments.parse_args()
    if options.worker:
        worker(options.worker)
        return
    sys.path.insert(0, str(ROOT))
    found = measured(options.turns, commands())
    print(table(found))
    about = {
        "python": platform.python_version(),
        "opentelemetry-api": version("opentelemetry-api"),
        "@opentelemetry": json.loads((ROOT / "tests/peers/node/package.json").read_text("utf-8"))["dependencies"],
        "turns": options.turns,
        "unit": "microseconds of CPU time per call",
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**about, "cases": found}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
