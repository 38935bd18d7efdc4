"""
Delivering: the thread that drains.

It ends with the process and never keeps that from ending. What it does is not traced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otelctx.core.reports import report
from otelctx.export.draining import POLL_SECONDS, Drainer
from otelctx.export.threads import started

# How long the end of the thread is waited for, once there is nothing left for it to do.
_END_SECONDS: Final = 0.1

_own = threading.local()


def is_delivering() -> bool:
    """Tell whether this thread delivers; what is logged in it about requests is about delivery itself."""
    return getattr(_own, "delivers", False)


class Delivery:
    """Runs a drainer; a process that was forked begins one of its own."""

    def __init__(self, name: str, make_drainer: Callable[[], Drainer]) -> None:
        """Run nothing yet."""
        self._name = name
        self._make_drainer = make_drainer
        self._reset()

    @property
    def is_failing(self) -> bool:
        """Whether the collector takes nothing."""
        return self._drainer is not None and self._drainer.is_failing

    def wake(self) -> None:
        """Say that there is something to send."""
        if self._thread is None:
            self._start()
        self._wake.set()

    def hurry(self) -> None:
        """Do not wait any longer to see what other processes do."""
        self._wake.set()

    def stop(self, seconds: float) -> None:
        """Send nothing more and let another process do so; wait for a request that is on its way, but not *seconds*."""
        with self._lock:
            thread, drainer, self._is_over = self._thread, self._drainer, True
        self._wake.set()
        self._over.set()
        if thread is not None:
            thread.join(min(_END_SECONDS, max(0.0, seconds)))
            if thread.is_alive() and drainer is not None:
                drainer.disconnect()

    def after_fork_in_child(self) -> None:
        """Forget the parent's thread."""
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._is_over = False
        self._thread: threading.Thread | None = None
        self._drainer: Drainer | None = None

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._is_over:
                return
            self._drainer = self._drainer or self._make_drainer()
            self._thread = started(self._name, partial(self._run, self._drainer))

    def _run(self, drainer: Drainer) -> None:
        _own.delivers = True
        with suppress_instrumentation():
            while not self._over.is_set():
                pause = self._step(drainer)
                if pause is None:
                    self._wake.wait(POLL_SECONDS)
                    self._wake.clear()
                else:
                    self._over.wait(pause)
            drainer.close()

    def _step(self, drainer: Drainer) -> float | None:
        try:
            return drainer.step()
        except Exception as error:  # noqa: BLE001 - the thread has to go on, and nobody else would say so
            report("export.drainer", "Delivery failed in a way that it should not: %s", type(error).__name__)
            return POLL_SECONDS
