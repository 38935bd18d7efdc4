"""
Shares: where the CPU of a case goes, by sampling its worker's stack at every millisecond of CPU.

    python -m benchmarks.harness.shares GROUP CASE

A sample counts for the innermost frame whose file is named below, so what a layer calls in the standard library, but
for `logging`, counts as its own.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from types import FrameType
from typing import Any, Final

from benchmarks.harness.case import group_of
from benchmarks.harness.results import RESULTS, read
from benchmarks.harness.rounds import ROOT

SECONDS: Final = 4.0
_EVERY: Final = 0.001

# What a frame of such a file is counted as; the first that fits.
LAYERS: Final = (
    ("/logging/", "stdlib logging"),
    ("opentelemetry/instrumentation/logging", "ids on log records"),
    ("opentelemetry/instrumentation/asgi", "ASGI instrumentation"),
    ("opentelemetry/instrumentation/_semconv", "ASGI instrumentation"),
    ("opentelemetry/util/http", "ASGI instrumentation"),
    ("opentelemetry/attributes", "attributes: checks and locks"),
    ("opentelemetry/sdk/util", "attributes: checks and locks"),
    ("opentelemetry/propagat", "propagation"),
    ("opentelemetry/baggage", "propagation"),
    ("opentelemetry/trace/propagation", "propagation"),
    ("opentelemetry/processor/baggage", "fields on spans"),
    ("opentelemetry/sdk", "span start, end and queue"),
    ("opentelemetry/trace", "span start, end and queue"),
    ("opentelemetry/context", "context"),
    ("contextvars", "context"),
    ("benchmarks/cases/recipes", "middleware by hand"),
    ("otelctx/integrations/asgi/descriptions", "ASGI instrumentation"),
    ("otelctx/integrations/asgi/semantics", "ASGI instrumentation"),
    ("otelctx/integrations/asgi", "edge"),
    ("otelctx/signals/log", "ids on log records"),
    ("otelctx/signals/recording", "span start, end and queue"),
    ("otelctx/signals/attributed", "span start, end and queue"),
    ("otelctx/signals/processors", "span start, end and queue"),
    ("otelctx/signals/tracing", "span start, end and queue"),
    ("otelctx/signals", "fields on spans"),
    ("otelctx/propagation", "propagation"),
    ("otelctx/core", "context"),
    ("otelctx/boundaries", "context"),
    ("otelctx/detect", "context"),
    ("benchmarks/cases/", "the application"),
)


def layer_of(frame: FrameType | None) -> str:
    """Return what *frame*, or the innermost of its callers that is known, is counted as."""
    while frame is not None:
        path = frame.f_code.co_filename
        for part, layer in LAYERS:
            if part in path:
                return layer
        frame = frame.f_back
    return "other"


def sampled(group: str, contender: str, name: str) -> dict[str, float]:
    """Return microseconds of a call of the case by layer; it is run in this process."""
    import time  # noqa: PLC0415 - beside its one use

    work = group_of(group).cases[name].contenders[contender]()
    work(2000)
    counts: Counter[str] = Counter()
    signal.signal(signal.SIGPROF, lambda _, frame: counts.update((layer_of(frame),)))
    calls, began = 0, time.process_time()
    signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
    while (spent := time.process_time() - began) < SECONDS:
        work(500)
        calls += 500
    signal.setitimer(signal.ITIMER_PROF, 0)
    total = sum(counts.values())
    return {layer: spent / calls * 1e6 * count / total for layer, count in counts.most_common()}


def main(group: str, name: str) -> None:
    """Sample each contender in a process of its own, and keep the shares."""
    python = ".".join(map(str, sys.version_info[:2]))
    kept = read(RESULTS / "shares.json")
    for contender in group_of(group).cases[name].contenders:
        command = [sys.executable, "-m", "benchmarks.harness.shares", group, name, contender]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        shares: dict[str, Any] = json.loads(done.stdout)
        kept.setdefault(python, {}).setdefault(f"{group}: {name}", {})[contender] = shares
        print(contender, *(f"  {layer:<32} {part:6.1f} µs" for layer, part in shares.items()), sep="\n")
    (RESULTS / "shares.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 3:
        found = sampled(sys.argv[1], sys.argv[3], sys.argv[2])
        print(json.dumps({layer: round(part, 1) for layer, part in found.items()}))
    else:
        main(*sys.argv[1:])
