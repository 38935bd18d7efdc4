"""
Failures of plain OpenTelemetry, each as a small program. The same code runs with otelctx installed and without.

Run as a module with a program's name and ``plain`` (OpenTelemetry with its threading instrumentor), ``otelctx``
(instead of that) or ``both``; it prints what the program has seen. alice's request comes first, bob's second.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import multiprocessing
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from multiprocessing.pool import ThreadPool
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

import otelctx
from otelctx.setup import install

MODE = sys.argv[2] if __name__ == "__main__" else "otelctx"

_variable: ContextVar[str] = ContextVar("of_the_application", default="none")


@contextmanager
def request_of(user: str) -> Iterator[None]:
    """Serve a request of *user*, whose name is in baggage."""
    if MODE == "plain":
        token = attach(baggage.set_baggage("user_id", user, Context()))
        yield
        detach(token)
    else:
        with otelctx.request(user_id=user):
            yield


def set_user(name: str) -> None:
    """Set the user for the rest of the request."""
    if MODE == "plain":
        attach(baggage.set_baggage("user_id", name))
    else:
        otelctx.set(user_id=name)


def user(*_: object) -> object:
    """Return whose request this is, as anything that reads baggage sees it."""
    return baggage.get_baggage("user_id")


def done_callback() -> object:
    seen: Future[object] = Future()
    with ThreadPoolExecutor(1) as executor:
        with request_of("alice"):
            executor.submit(user).result()
        with request_of("bob"):
            free = threading.Event()
            future = executor.submit(free.wait)
            future.add_done_callback(lambda _: seen.set_result(user()))
            free.set()
    return seen.result()


def thread_pool() -> object:
    with request_of("alice"):
        pool = ThreadPool(1)
    with pool, request_of("bob"):
        return pool.apply(user)


def forked_process_pool() -> object:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        with request_of("alice"):
            executor.submit(user).result()
        with request_of("bob"):
            return executor.submit(user).result()


def other_variables() -> object:
    with ThreadPoolExecutor(1) as executor, request_of("alice"):
        _variable.set("mine")
        return executor.submit(_variable.get).result()


def abandoned_async_generator() -> object:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("failures")
    complaints: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        with tracer.start_as_current_span("numbers"):
            yield 1
            yield 2

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    async def consume() -> object:
        async for _ in numbers():
            break
        current = trace.get_current_span()
        gc.collect()
        await asyncio.sleep(0)
        return current.name if isinstance(current, ReadableSpan) else None

    logging.getLogger("opentelemetry").addHandler(Complaints())
    return [asyncio.run(consume()), complaints]


def sync_dependency() -> object:
    import httpx
    from fastapi import Depends, FastAPI

    app = FastAPI()

    def check_login() -> None:
        set_user("carol")

    @app.get("/", dependencies=[Depends(check_login)])
    async def endpoint() -> object:
        return user()

    async def call() -> object:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            with request_of("alice"):
                return (await client.get("/")).json()

    return asyncio.run(call())


def end_of_span() -> object:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("failures")
    with request_of("alice"):
        with tracer.start_as_current_span("check login"):
            set_user("carol")
        return user()


def signal_handler() -> object:
    seen: list[object] = []
    signal.signal(signal.SIGUSR1, lambda *_: seen.append(user()))
    with request_of("alice"):
        signal.raise_signal(signal.SIGUSR1)
    return seen[0]


def child_process() -> object:
    with request_of("alice"):
        child = [sys.executable, "-c", "import os; print(os.environ.get('BAGGAGE', ''))"]
        return "user_id=alice" in subprocess.run(child, capture_output=True, text=True, check=True).stdout


PROGRAMS: dict[str, Callable[[], object]] = {
    program.__name__: program
    for program in (
        *(done_callback, thread_pool, forked_process_pool, other_variables, abandoned_async_generator),
        *(sync_dependency, end_of_span, signal_handler, child_process),
    )
}


def main() -> None:
    if MODE != "otelctx":
        ThreadingInstrumentor().instrument()
    if MODE != "plain":
        install.install()
    result: Any = PROGRAMS[sys.argv[1]]()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
