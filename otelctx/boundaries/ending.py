"""
The end of a process: what the SDK still holds is sent before it, where no atexit hook runs and so nobody else would.

That is so in every worker of `multiprocessing`, and where a server ends itself by the signal that it was stopped with.
It takes a bounded time, whether there is a collector or not.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import wraps
from threading import Thread
from types import ModuleType
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider

from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.patches import Patch
from otelctx.core.reports import report

# All signals together. The SDK's own time limit is for each, and not kept (opentelemetry-python#4568).
SECONDS: Final = 1.0


def flush() -> None:
    """Send what the providers hold, and return when that is done or `SECONDS` are over."""
    deadline = time.monotonic() + SECONDS
    senders = [
        Thread(target=_flush, args=(provider,), name="otelctx-flush", daemon=True)
        for provider in (trace.get_tracer_provider(), get_logger_provider(), metrics.get_meter_provider())
        if hasattr(provider, "force_flush")
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(max(0.0, deadline - time.monotonic()))


def _flush(provider: Any) -> None:
    try:
        provider.force_flush(int(SECONDS * 1000))
    except Exception:  # noqa: BLE001 - a provider's processors are other people's code, and the process ends all the same
        report("ending.failed", "What %s holds was not sent at the end", type(provider).__name__)


_registered_in: int | None = None


def flush_when_worker_ends() -> None:
    """Flush when this process, a worker of `multiprocessing`, ends; once is enough."""
    global _registered_in  # noqa: PLW0603 - once per process
    if _registered_in != os.getpid():
        from multiprocessing import util  # noqa: PLC0415 - here it is imported

        _registered_in = os.getpid()
        # A worker leaves by os._exit, past every atexit hook; multiprocessing's own finalizers do run.
        util.Finalize(None, flush, exitpriority=100)


class _Workers:
    """The workers that start while this is installed, and this process if it is about to be one."""

    def __init__(self, util: ModuleType) -> None:
        self._util = util
        self._told: _Told | None = None

    def install(self) -> None:
        if self._told is None:
            self._told = _Told()
            # Spawned workers come by here too, since they install before multiprocessing sets them up.
            self._util.register_after_fork(self._told, _Told.begin)

    def uninstall(self) -> None:
        self._told = None


class _Told:
    """What multiprocessing calls in each new worker, for as long as it is alive here."""

    @staticmethod
    def begin(_: object) -> None:
        flush_when_worker_ends()


_ON_IMPORT: Final = OnImport({"multiprocessing.util": lambda module: (_Workers(module),)})

install, uninstall = _ON_IMPORT.install, _ON_IMPORT.uninstall


def _flush_of_handler(original: Callable[[object], None]) -> Callable[[object], None]:
    @wraps(original)
    def flush(self: object) -> None:
        try:
            original(self)
        except RuntimeError:
            # Python 3.12 starts no thread any more when `logging` ends. The provider has sent all by then: what was
            # registered with `atexit` later runs earlier.
            return

    return flush


def handlers_flush(module: ModuleType) -> tuple[Patch, ...]:
    """Return what lets OpenTelemetry's logging handler end a program of Python 3.12 without a traceback."""
    handler = getattr(module, "LoggingHandler", None)
    return () if handler is None else (Patch(handler, "flush", _flush_of_handler),)
