"""
The worker: one contender in a process of its own, which does its work when a line asks for it, and times itself.

    python -m benchmarks.harness.worker GROUP CONTENDER CASE …

It answers with one line of JSON, first about itself, then for each line of standard input.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import time
from importlib.metadata import distributions, version
from typing import Any, Final

from benchmarks.harness.case import OURS, MissingError, Work, group_of
from otelctx.native import compiled_floors

# What a result depends on, beside Python; of these, the ones that are installed.
PACKAGES: Final = (
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
    "opentelemetry-processor-baggage",
    "protobuf",
    "uvicorn",
    "asgi-correlation-id",
    "starlette-context",
    "structlog",
    "logfire",
    "ddtrace",
    "sentry-sdk",
    "elastic-apm",
)


def versions(contender: str) -> dict[str, str]:
    """Return the versions of the packages that are installed here, and what runs compiled of otelctx."""
    found = {name: version(name) for name in PACKAGES if any(distributions(name=name))}
    if contender == OURS:
        found["otelctx, compiled"] = ", ".join(compiled_floors()) or "nothing"
    return found


def timed(work: Work, calls: int) -> dict[str, float]:
    """Return the numbers of one turn: microseconds for one call, and those that *work* gives itself."""
    gc.collect()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    own = work(calls)
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return {"cpu": cpu / calls / 1000, "wall": wall / calls / 1000, **(own or {})}


def main(group: str, contender: str, *names: str) -> None:
    """Set up all cases *names*, and answer."""
    # What is printed by others must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    cases = group_of(group).cases
    works: dict[str, Work] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            works[name] = cases[name].contenders[contender]()
        except (ModuleNotFoundError, MissingError) as error:  # noqa: PERF203 - once for each
            missing[name] = str(error)
    about: dict[str, Any] = {"python": platform.python_version(), "versions": versions(contender), "missing": missing}
    print(json.dumps(about), file=answers)
    # What the set-up has made stays until the end, and is not to be looked through again and again.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        name, calls = json.loads(line)
        print(json.dumps(timed(works[name], calls)), file=answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
