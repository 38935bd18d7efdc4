"""
What a test may have patched or installed, as it stands: a test leaves it as it has found it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing.managers
import multiprocessing.process
import os
import signal
import subprocess
import threading
import weakref
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, thread
from multiprocessing.pool import Pool, ThreadPool
from typing import Final

from opentelemetry import propagate
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.sdk.metrics import Counter, Histogram, UpDownCounter
from opentelemetry.sdk.trace import Tracer

from otelctx.boundaries import finalizers
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.setup import install

# Not `Timer`, where OpenTelemetry's threading instrumentor leaves a method of its own behind.
_OWNERS: Final = (
    *(threading.Thread, ThreadPoolExecutor, ProcessPoolExecutor, Future, thread._WorkItem),
    *(ThreadPool, Pool, multiprocessing.process.BaseProcess, multiprocessing.managers.BaseManager),
    *(asyncio.BaseEventLoop, asyncio.SelectorEventLoop, asyncio.subprocess, subprocess.Popen, weakref.finalize),
    *(ContextVarsRuntimeContext, logging.Logger, Tracer, OtelctxPropagator, RequestOpening),
    *(Counter, UpDownCounter, Histogram),
)
_FUNCTIONS: Final = {
    asyncio: ("create_subprocess_exec", "create_subprocess_shell", "create_task", "ensure_future", "gather"),
    os: ("posix_spawn", "posix_spawnp"),
    signal: ("signal", "getsignal"),
}


def patched() -> dict[str, object]:
    """Return, by what it is, all that must be the same after a test."""
    found: dict[str, object] = {
        f"{owner.__name__}.{name}": value for owner in _OWNERS for name, value in vars(owner).items() if callable(value)
    }
    found.update(
        {f"{owner.__name__}.{name}": getattr(owner, name) for owner in _FUNCTIONS for name in _FUNCTIONS[owner]}
    )
    found["the propagator"] = propagate.get_global_textmap()
    found["the log record factory"] = logging.getLogRecordFactory()
    found["the finalizers' callback"] = finalizers._collecting if finalizers._collecting in gc.callbacks else None
    found["whether otelctx is installed"] = install.is_installed()
    return found


def differences(before: dict[str, object], after: dict[str, object]) -> list[str]:
    """Return what is not the very same object any more."""
    return sorted(name for name in {*before, *after} if before.get(name) is not after.get(name))
