"""
Start-up: CPU of a new process until what it imports, sets up or runs is there. Python's own start-up is in all of them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.harness.case import Case, Contender, Group, MissingError, Work
from benchmarks.harness.rounds import ROOT

PYTHON: Final = "Python alone"
RECIPE: Final = "hand recipe"
INSTRUMENT: Final = "opentelemetry-instrument"

GROUP: Final = Group("start", shared=True)
importing = GROUP.case("import", over=PYTHON, calls=1, turns=15, quick=False)
setting_up = GROUP.case("set up for traced requests", over=PYTHON, targets={RECIPE: 0.6}, calls=1, turns=15)
running = GROUP.case("run a program", over=PYTHON, targets={INSTRUMENT: 0.6}, calls=1, turns=9, quick=False)

_EXPORTERS: Final = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")
# Where otelctx is installed too, its distribution may be the one that OpenTelemetry picks, and its hooks run.
_WITHOUT_OTELCTX: Final = {
    "OTEL_PYTHON_DISTRO": "distro",
    "OTEL_PYTHON_CONFIGURATOR": "configurator",
    "OTELCTX_ENABLED": "false",
}
_RECIPE: Final = """
from benchmarks.cases.recipes import hand_recipe
from benchmarks.cases.sdk import trace_with
hand_recipe(None, trace_with())
"""
_OURS: Final = """
from benchmarks.cases.recipes import ours
from benchmarks.cases.sdk import trace_with
trace_with()
ours(None)
"""


def process(*command: str, **environment: str) -> Work:
    """Return the work that is to run *command*, a program of this environment, to its end."""
    environ = {**os.environ, **dict.fromkeys(_EXPORTERS, "none"), **environment}
    # With the bytecode that an installed package has; what has none yet is given it in the first turn.
    environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def work(calls: int) -> dict[str, float]:
        before, began = _children(), time.perf_counter()
        for _ in range(calls):
            subprocess.run(
                command, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        return {"cpu": (_children() - before) / calls * 1e6, "wall": (time.perf_counter() - began) / calls * 1e6}

    return work


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def script(text: str) -> Contender:
    """Return the contender that runs *text*."""
    return lambda: process(sys.executable, "-c", text)


def imports(case: Case, name: str, module: str, *names: str) -> None:
    """Register what imports *module*, and *names* from it, where they are what loads it."""
    statement = f"from {module} import {', '.join(names)}" if names else f"import {module}"

    @case.contender(name)
    def contender() -> Work:
        if find_spec(module.split(".", maxsplit=1)[0]) is None:
            raise MissingError(f"there is no {module}")
        return process(sys.executable, "-c", statement)


def installed(name: str) -> str:
    """Return the path of the command *name* of this environment."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise MissingError(f"there is no command {name}")
    return str(path)


for each in GROUP.cases.values():
    each.contender(PYTHON)(script("pass"))
imports(importing, "opentelemetry.sdk.trace", "opentelemetry.sdk.trace")
imports(importing, "logfire", "logfire")
imports(importing, "ddtrace", "ddtrace")
imports(importing, "sentry-sdk", "sentry_sdk")
imports(importing, "elastic-apm", "elasticapm")
imports(importing, "structlog", "structlog")
imports(importing, "otelctx", "otelctx", "bind", "get", "request", "set")
setting_up.contender(RECIPE)(script(_RECIPE))
setting_up.contender("otelctx")(script(_OURS))


@running.contender(INSTRUMENT)
def _instrument() -> Work:
    return process(installed("opentelemetry-instrument"), sys.executable, "-c", "pass", **_WITHOUT_OTELCTX)


@running.contender("otelctx")
def _run() -> Work:
    return process(installed("otelctx"), "run", sys.executable, "-c", "pass")
