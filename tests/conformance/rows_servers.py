"""
Rows: the same applications, and some that need a server, behind a real one. The submitter is a client, by real HTTP.

Nothing is changed for it: the edge is where `otelctx run` puts it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

import httpx
import uvicorn
from fastapi import FastAPI
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import otelctx
from tests.conformance import jobs
from tests.conformance.boundary import Crossing, Opening, Rows
from tests.conformance.runners import without_loop
from tests.conformance.web_applications import APPLICATIONS, Application

ROWS = Rows()

LOOPS: Final = {"web, behind uvicorn": "asyncio", "web, behind uvicorn on uvloop": "uvloop"}
WITHOUT: Final = {
    "vars": "Only fields cross a network.",
    "cancel": "A server goes on when its client has gone away.",
}
SECONDS: Final = 30.0


class Served:
    """An application with a job, and what the edge of each of its requests has seen when the request was over."""

    def __init__(self, build: Callable[[FastAPI, Any], None]) -> None:
        """Build the application."""
        self._app = FastAPI()
        build(self._app, self)
        self._job: Callable[[], Any] = lambda: None
        self._over = threading.Event()
        self._result: Any = None
        self._error: Exception | None = None
        self._between: list[object] = []
        self.back: Mapping[str, object] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve; this is the outermost layer of the application."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            self._error = error
            raise
        finally:
            self.back = dict(otelctx.current())
            self._over.set()

    def do(self) -> None:
        """Do the job."""
        self._result = self._job()

    async def in_task(self) -> None:
        """Do the job."""
        self.do()

    def see(self) -> None:
        """Remember what a middleware sees after the job."""
        self._between.append(otelctx.get("user_id"))

    def cross(self, call: Callable[[], object], job: Any, *args: Any) -> Any:
        """Do *job* in a request that *call* makes."""
        self._job, self._result, self._error, self._between = partial(job, *args), None, None, []
        self._over.clear()
        # Where the response has begun already, an exception ends it in the middle.
        with suppress(httpx.RemoteProtocolError, ConnectionClosed):
            call()
        assert self._over.wait(SECONDS)
        self._job = lambda: None
        assert all(self.back.get("user_id") == seen for seen in self._between)
        if self._error is not None:
            raise self._error
        return self._result


@contextmanager
def _serving(app: Served, loop: str) -> Iterator[int]:
    """Give the port at which uvicorn serves *app*."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, loop=loop, log_config=None, lifespan="on")  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def _headers(url: str) -> dict[str, str]:
    carrier: dict[str, str] = {}
    otelctx.inject(carrier, destination=url)
    return carrier


def _opening(application: Application, loop: str) -> Opening:
    async def opened() -> AsyncIterator[Crossing]:
        app = Served(application.build)
        client = httpx.Client()
        with _serving(app, loop) as port:

            def call() -> None:
                url = f"{'ws' if application.by == 'websocket' else 'http'}://127.0.0.1:{port}/"
                if application.by == "websocket":
                    with connect(url, additional_headers=_headers(url), proxy=None) as there:
                        there.recv()
                else:
                    client.get(url, headers=_headers(url))

            async def cross(job: Any, *args: Any) -> Any:
                try:
                    return app.cross(call, job, *args)
                except jobs.BoomError:
                    # uvicorn closes the connection that it came by, at some time soon.
                    nonlocal client
                    client.close()  # noqa: ASYNC212 - no loop runs
                    client = httpx.Client()
                    raise

            yield Crossing(cross, back=lambda: app.back)
            client.close()  # noqa: ASYNC212 - no loop runs

    return opened


for _application in APPLICATIONS:
    for _group, _loop in LOOPS.items():
        _inline = not _application.in_thread
        _add = ROWS.add(_group, _application.name, without_loop, inline=_inline, opens=True, **WITHOUT)
        _add(_opening(_application, _loop))
