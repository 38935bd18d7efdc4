"""
A server that remembers what it is sent, and does as the path of a request says.

``/to?URL`` redirects to that URL. ``/late?N`` refuses N times before it answers. Any other path answers.
A request for a whole URL comes from a client that takes this for its proxy; it is forwarded as it is.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import parse_headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from urllib.parse import urlsplit


@dataclass
class Received:
    """One request, as it arrived."""

    path: str
    headers: list[tuple[str, str]]

    def texts(self, name: str) -> list[str]:
        return [text for key, text in self.headers if key.lower() == name]


@dataclass
class Server:
    url: str
    port: int
    received: list[Received] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    refused: dict[str, int] = field(default_factory=dict)

    def at(self, path: str) -> Received:
        """Return the one request that came for *path*."""
        (found,) = [request for request in self.received if request.path == path]
        return found


@contextmanager
def serving(host: str) -> Iterator[Server]:
    """Serve on a free port of *host*, an address of this machine, for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with seen.lock:
                seen.received.append(Received(self.path, self.headers.items()))
            if self.path.startswith("http://"):
                self.forward()
                return
            what, _, argument = self.path.partition("?")
            if what == "/to":
                self.answer(302, location=argument)
            elif what == "/late":
                with seen.lock:
                    count = seen.refused[self.path] = seen.refused.get(self.path, 0) + 1
                self.answer(503 if count <= int(argument) else 200)
            else:
                self.answer(200)

        def forward(self) -> None:
            target = urlsplit(self.path)
            connection = http.client.HTTPConnection(target.netloc, timeout=10)
            headers = {name: text for name, text in self.headers.items() if name.lower() != "proxy-connection"}
            connection.request(self.command, f"{target.path}?{target.query}".rstrip("?"), headers=headers)
            response = connection.getresponse()
            response.read()
            connection.close()
            self.answer(response.status, location=response.headers["location"])

        def answer(self, status: int, *, location: str | None = None) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            if location:
                self.send_header("location", location)
            self.send_header("content-length", "2")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    seen = Server(f"http://{host}:{server.server_port}", server.server_port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def tunnelling(host: str) -> Iterator[Server]:
    """Serve as a proxy that opens tunnels, and remembers what it is told of each."""

    class Tunnel(StreamRequestHandler):
        def handle(self) -> None:
            _, target, _ = self.rfile.readline().decode("ascii").split(" ")
            headers = parse_headers(self.rfile)
            with seen.lock:
                seen.received.append(Received(target, headers.items()))
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as there:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = Thread(target=_copy, args=(there, self.connection))
                back.start()
                _copy(self.connection, there)
                back.join()

    with ThreadingTCPServer((host, 0), Tunnel) as server:
        port = server.server_address[1]
        seen = Server(f"http://{host}:{port}", port)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):  # either side may go without a word
        while part := source.recv(65536):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
