"""
Threads of delivery: they end with the process, are in no request, and where none can be had the application goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context

from otelctx.core.reports import report


def started(name: str, run: Callable[[], object]) -> threading.Thread | None:
    """Return a thread that does *run*, or None where none can be started now."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        # In no request: it outlives the one that happens to be first.
        Context().run(thread.start)
    except RuntimeError:
        # At the end of the interpreter there are none any more; what is on disk is for the next process.
        if threading.main_thread().is_alive():
            report("export.thread", "The system gives no thread for delivery; telemetry waits until it does")
        return None
    return thread
