"""
A program that counts what one traced request costs, in what does not depend on the machine; prints it as JSON.

Locks and Contexts are counted by classes put in the place of theirs before anything else is imported.
"""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import threading
from collections import Counter
from types import FrameType
from typing import Any, ClassVar

taken = 0
CLASSES: dict[str, Any] = {"Lock": threading.Lock, "RLock": threading.RLock}


def counting(make: Any) -> Any:
    class Counting:
        def __init__(self) -> None:
            self.lock = make()

        def acquire(self, *args: Any, **kwargs: Any) -> bool:
            global taken  # noqa: PLW0603 - a program, not a module
            taken += 1
            return bool(self.lock.acquire(*args, **kwargs))

        def release(self) -> None:
            self.lock.release()

        def __enter__(self) -> None:
            self.acquire()

        def __exit__(self, *_: object) -> None:
            self.release()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.lock, name)

    return Counting


for name, make in CLASSES.items():
    setattr(threading, name, counting(make))

from opentelemetry.context import Context  # noqa: E402

copied = 0


def copying(self: Any, *args: Any) -> None:
    global copied  # noqa: PLW0603 - a program, not a module
    copied += 1
    dict.__init__(self, *args)


Context.__init__ = copying  # type: ignore[method-assign]

from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult  # noqa: E402

import otelctx  # noqa: E402
from otelctx.integrations.asgi import OtelctxMiddleware  # noqa: E402
from otelctx.setup.install import install  # noqa: E402

REQUESTS_IN_FLIGHT = 500


class Keeping(SpanExporter):
    spans: ClassVar[list[ReadableSpan]] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


log = logging.getLogger("shop")
lines = io.StringIO()


async def shop(scope: Any, receive: Any, send: Any) -> None:
    otelctx.set(user_id="alice")
    log.info("hello")
    if scope["path"] == "/wait":
        await scope["state"]["go"].wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


sent: list[Any] = []


def scope(path: str, **state: Any) -> Any:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1234),
        "headers": [
            (b"host", b"localhost"),
            (b"user-agent", b"test"),
            (b"x-request-id", b"r-1"),
            (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ],
        "state": state,
    }


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None:
    sent.append(message)


async def serve(app: Any, path: str = "/orders", **state: Any) -> None:
    await app(scope(path, **state), receive, send)


async def blocks_in_flight(app: Any) -> float:
    """Return how many blocks of memory one request holds that waits."""
    go = asyncio.Event()
    gc.collect()
    before = sys.getallocatedblocks()
    tasks = [asyncio.create_task(serve(app, "/wait", go=go)) for _ in range(REQUESTS_IN_FLIGHT)]
    await asyncio.sleep(0)
    gc.collect()
    held = sys.getallocatedblocks() - before
    go.set()
    await asyncio.gather(*tasks)
    return held / REQUESTS_IN_FLIGHT


async def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Keeping()))
    trace.set_tracer_provider(provider)
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logging.Formatter("%(request_id)s %(user_id)s %(trace_id)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    install()
    app = OtelctxMiddleware(shop, owns_task=True)
    for _ in range(3):  # what is learnt of the first of a kind
        await asyncio.create_task(serve(app))
    calls: Counter[str] = Counter()

    def seen(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1

    async def counted() -> tuple[int, int]:
        locks, contexts = taken, copied
        sys.setprofile(seen)
        await serve(app)
        sys.setprofile(None)
        return taken - locks, copied - contexts

    locks, contexts = await asyncio.create_task(counted())
    in_flight = await blocks_in_flight(app)
    provider.shutdown()
    found = {
        "calls": sum(number for place, number in calls.items() if not place.startswith(__file__)),
        "locks": locks,
        "contexts": contexts,
        "blocks_in_flight": in_flight,
        "attributes": dict(Keeping.spans[0].attributes or {}),
        "line": lines.getvalue().splitlines()[0],
    }
    print(json.dumps(found))
    print("\n".join(f"{number} {place}" for place, number in calls.most_common()), file=sys.stderr)


asyncio.run(main())
