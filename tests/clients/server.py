"""
Servers that remember what they are sent, and do as the path of a request says.

``/to?URL`` redirects to that URL. Any other path answers, after as many refusals as it is given.
A request for a whole URL comes from a client that takes this for its proxy; it is forwarded as it is.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from hypercorn.asyncio import serve
from hypercorn.config import Config


@dataclass
class Received:
    """One request, as it arrived."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def texts(self, name: str) -> list[str]:
        return [text for key, text in self.headers if key.lower() == name]


@dataclass
class Server:
    """
    What a server has seen.

    Attributes:
        refusals: how often a path is refused before it is answered.
    """

    url: str
    received: list[Received] = field(default_factory=list)
    refusals: dict[str, int] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def at(self, path: str) -> Received:
        """Return the one request that came for *path*."""
        (found,) = [request for request in self.received if request.path == path]
        return found

    def forget(self) -> Server:
        self.received.clear()
        self.refusals.clear()
        return self

    def answer_to(self, received: Received) -> tuple[int, Mapping[str, str]]:
        """Remember *received*, and return the status and the headers of its answer."""
        with self.lock:
            self.received.append(received)
            if self.refusals.get(received.path, 0):
                self.refusals[received.path] -= 1
                return 503, {}
        what, _, argument = received.path.partition("?")
        return (302, {"location": argument}) if what == "/to" else (200, {})


@contextmanager
def serving(host: str, certificate: Path | None = None, kind: type[Server] = Server) -> Iterator[Server]:
    """Serve HTTP/1.1 on a free port of *host*, an address of this machine; over TLS with a *certificate*."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers = seen.answer_to(Received(self.path, self.headers.items(), body))
            if self.path.startswith("http://"):
                status, headers = self.forwarded()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def do_POST(self) -> None:
            self.do_GET()

        def forwarded(self) -> tuple[int, Mapping[str, str]]:
            target = urlsplit(self.path)
            connection = http.client.HTTPConnection(target.netloc, timeout=10)
            headers = {name: text for name, text in self.headers.items() if name.lower() != "proxy-connection"}
            connection.request(self.command, f"{target.path}?{target.query}".rstrip("?"), headers=headers)
            response = connection.getresponse()
            response.read()
            connection.close()
            location = response.headers["location"]
            return response.status, {"location": location} if location else {}

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        # The handshake is the business of the thread that serves the connection.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _in_thread(server) as port:
        seen = kind(f"{'https' if certificate else 'http'}://{host}:{port}")
        yield seen


@contextmanager
def serving_http2(host: str, kind: type[Server] = Server) -> Iterator[Server]:
    """Serve HTTP/2 without TLS on a free port of *host*."""
    listening = socket.create_server((host, 0))
    seen = kind(f"http://{host}:{listening.getsockname()[1]}")
    started, stop = Event(), Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            started.set()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["http_version"] == "2"
        path = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        headers = [(name.decode("latin-1"), text.decode("latin-1")) for name, text in scope["headers"]]
        status, more = seen.answer_to(Received(path, headers))
        answer = [(name.encode(), text.encode()) for name, text in more.items()]
        await send({"type": "http.response.start", "status": status, "headers": answer})
        await send({"type": "http.response.body", "body": b"ok"})

    async def stopped() -> None:
        await asyncio.to_thread(stop.wait)

    config = Config()
    config.bind = [f"fd://{listening.detach()}"]  # which it closes itself
    config.errorlog = None
    thread = Thread(target=lambda: asyncio.run(serve(app, config, shutdown_trigger=stopped)))
    thread.start()
    try:
        assert started.wait(30)
        yield seen
    finally:
        stop.set()
        thread.join()


@contextmanager
def tunnelling(host: str) -> Iterator[Server]:
    """Serve as a proxy that opens tunnels, and remembers what it is told of each."""

    class Tunnel(StreamRequestHandler):
        def handle(self) -> None:
            _, target, _ = self.rfile.readline().decode("ascii").split(" ")
            seen.answer_to(Received(target, http.client.parse_headers(self.rfile).items()))
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as there:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = Thread(target=_copy, args=(there, self.connection))
                back.start()
                _copy(self.connection, there)
                back.join()

    with _in_thread(ThreadingTCPServer((host, 0), Tunnel)) as port:
        seen = Server(f"http://{host}:{port}")
        yield seen


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # either side may go without a word
        while part := source.recv(65536):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def _in_thread(server: ThreadingTCPServer) -> Iterator[int]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    with server:
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
