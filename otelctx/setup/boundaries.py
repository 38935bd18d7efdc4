"""
The boundaries of a process by name, each with all of its patches, those of third-party modules too.

Each is an instrumentor of OpenTelemetry's, and ``OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`` switches it off as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from otelctx.boundaries import (
    ending,
    finalizers,
    generators,
    greenlets,
    processes,
    runners,
    signal_handlers,
    subprocesses,
    thread_pools,
    threads,
    web,
)
from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.patches import Patches

BOUNDARIES: Final[Mapping[str, Patches]] = {
    "generators": Patches(
        generators,
        OnImport(
            {
                "starlette.responses": web.streaming,
                "fastapi.routing": web.streaming,
                "fastapi.dependencies.utils": web.dependencies,
            }
        ),
    ),
    "threads": Patches(
        threads,
        thread_pools,
        OnImport(
            {
                "anyio._backends._asyncio": threads.anyio_workers,
                "trio._core._thread_cache": threads.trio_workers,
            }
        ),
    ),
    "asyncio": Patches(runners),
    "greenlets": Patches(OnImport({"gevent": greenlets.spawning, "gevent.threadpool": greenlets.thread_pool})),
    "signal-handlers": Patches(signal_handlers, OnImport({"uvloop": signal_handlers.uvloop_handlers})),
    "finalizers": Patches(finalizers),
    "processes": Patches(processes, OnImport({"opentelemetry.instrumentation.logging.handler": ending.handlers_flush})),
    "subprocesses": Patches(subprocesses),
}
"""In the order of their installation."""

_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
_ALL: Final = "*"

_off: set[str] = set()


def enabled(environ: Mapping[str, str]) -> list[Patches]:
    """Return the boundaries that *environ* does not switch off."""
    disabled = {name.strip() for name in environ.get(_DISABLED, "").split(",")}
    return [patches for name, patches in BOUNDARIES.items() if not {_ALL, f"otelctx-{name}"} & disabled]


def install(name: str) -> None:
    """Install the boundary *name*, unless the configuration has turned it off."""
    if name not in _off:
        BOUNDARIES[name].install()


def turn_off(name: str) -> None:
    """Take the boundary *name* away; its instrumentor, which OpenTelemetry runs after set-up, leaves it so."""
    _off.add(name)
    BOUNDARIES[name].uninstall()


def uninstall() -> None:
    """Restore what all of them do without otelctx, and forget what was turned off."""
    _off.clear()
    for patches in reversed([*BOUNDARIES.values()]):
        patches.uninstall()
