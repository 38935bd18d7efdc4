"""
The collector: store, intake, listeners and forwarder as one thing that starts and stops.

It accepts only after everything behind it is ready, and stops from the outside in, so that what was accepted is kept.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from otelctx.collector.admission import Admission
from otelctx.collector.config import is_loopback
from otelctx.collector.counters import Counters
from otelctx.collector.grpc_ingest import make_server
from otelctx.collector.guard import Guard
from otelctx.collector.http_ingest import Receiver
from otelctx.collector.http_query import QueryInterface
from otelctx.collector.intake import Intake
from otelctx.collector.listeners import HttpServer, listen, listen_grpc
from otelctx.collector.page import page_route
from otelctx.collector.store import Store
from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    import grpc.aio
    from starlette.requests import Request
    from starlette.responses import Response
    from typing_extensions import Self

    from otelctx.collector.config import CollectorConfig
    from otelctx.collector.forward import Forwarder


class Collector:
    """
    The local collector, on the running event loop.

    Attributes:
        http_port: The port of OTLP/HTTP, the query interface and the page, once started.
        grpc_port: The port of OTLP/gRPC, once started.
        store_path: The store's file, once started.
        counters: What happened so far.

    Use it with ``async with Collector(config) as collector``, or call :meth:`start` and :meth:`stop`.
    """

    def __init__(self, config: CollectorConfig) -> None:
        """Hold *config*; nothing is opened yet."""
        self.config = config
        self.counters = Counters()
        self.http_port = 0
        self.grpc_port = 0
        self.store_path: Path | None = None
        self._running = AsyncExitStack()

    async def start(self) -> None:
        """
        Open the store and both listeners; both accept when this returns.

        Raises:
            CollectorError: when the store or a port cannot be had; nothing is left open then.
        """
        async with AsyncExitStack() as undo:
            listener = listen(self.config.host, self.config.http_port, "--http-port")
            undo.callback(listener.close)
            self.http_port = listener.getsockname()[1]
            store = await asyncio.to_thread(Store, self.config, self.counters)
            undo.push_async_callback(asyncio.to_thread, store.close)
            self.store_path = store.path
            forwarder = self._make_forwarder()
            if forwarder is not None:
                undo.push_async_callback(forwarder.close, self.config.shutdown_seconds)
            intake = Intake(self.config, store, self.counters, forwarder)
            undo.callback(intake.close)
            query = QueryInterface(store.path, intake, self.counters)
            undo.callback(query.close)

            grpc_server = make_server(self.config, intake)
            undo.push_async_callback(grpc_server.stop, None)
            self.grpc_port = listen_grpc(grpc_server, self.config.host, self.config.grpc_port)
            await grpc_server.start()

            http_server = HttpServer(self._application(intake, query), self.config)
            serving = asyncio.create_task(http_server.serve(sockets=[listener]), name="otelctx-collector-http")
            undo.push_async_callback(self._stop_listening, http_server, serving, grpc_server)
            await http_server.accepting.wait()
            self._running = undo.pop_all()

    async def stop(self) -> None:
        """Stop accepting, finish what is in flight, commit and close; bounded by the configuration."""
        await self._running.aclose()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    def _application(self, intake: Intake, query: QueryInterface) -> Guard:
        routes = [page_route(), *Receiver(self.config, intake).routes(), *query.routes()]
        application = Starlette(routes=routes, exception_handlers={404: not_here, 405: not_here})
        return Guard(Admission(application, self.counters), self.config.host)

    def _make_forwarder(self) -> Forwarder | None:
        url = self.config.forward_url
        if url is None:
            return None
        parts = urlsplit(url)
        if is_loopback(parts.hostname or "") and parts.port == self.http_port:
            msg = f"Cannot forward to {url}, which is this collector itself; give --forward another endpoint"
            raise CollectorError(msg)
        # Only who forwards pays for the HTTP client.
        from otelctx.collector.forward import Forwarder  # noqa: PLC0415

        return Forwarder(self.config, url, self.counters)

    async def _stop_listening(
        self, http: HttpServer, serving: asyncio.Task[None], grpc_server: grpc.aio.Server
    ) -> None:
        """Let both servers finish what they have accepted, at the same time."""
        http.should_exit = True
        await asyncio.gather(serving, grpc_server.stop(self.config.shutdown_seconds))


async def not_here(request: Request, error: Exception) -> Response:
    """Answer 404 and 405 in the form of the query interface."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        what = f"{request.method} is not allowed here; use one of the methods in the Allow header"
    else:
        what = "There is nothing at this path; see docs/query-api.md, or send OTLP to /v1/traces"
    return JSONResponse({"error": what}, error.status_code, error.headers)
