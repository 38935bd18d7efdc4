"""
What an attacker and a proxy do on the wire: bytes as they are written, from an address of one's own choice.

All of 127.0.0.0/8 is this machine, so one client can call from several "hosts".
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TRUSTED = "127.0.0.1"
STRANGER = "127.0.0.66"


def raw_request(path: str, lines: Sequence[bytes]) -> bytes:
    """Return an HTTP request with *lines* for headers, none of them looked at."""
    return b"\r\n".join([f"GET {path} HTTP/1.1".encode(), b"host: a", b"connection: close", *lines, b"", b""])


def exchange(port: int, sent: bytes, source: str) -> bytes:
    """Send bytes from address *source*, and return all that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0)) as client:
        received = b""
        try:
            client.sendall(sent)
            while part := client.recv(65536):
                received += part
        except ConnectionError:  # a server may refuse before it has read everything
            pass
        return received


class Proxy:
    """A reverse proxy that forwards all headers, and adds its client's address to one of them."""

    def __init__(self, port: int, header: str, client_address: str) -> None:
        """
        Stand in front of *port*.

        Args:
            header: the forwarded header that it writes; empty for a proxy that writes none.
            client_address: where its clients seem to come from.
        """
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                proxy.forward(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._target = port
        self._header = header
        self._client = client_address
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])

    def forward(self, handler: BaseHTTPRequestHandler) -> None:
        headers = [(name, value) for name, value in handler.headers.items() if name.lower() != "connection"]
        headers += self._forwarded(handler.headers.get_all(self._header) or [])
        connection = http.client.HTTPConnection("127.0.0.1", self._target, timeout=30)
        connection.putrequest("GET", handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("connection", "close")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        handler.send_response(answer.status)
        handler.send_header("content-length", str(len(body)))
        handler.send_header("x-request-id", answer.headers.get("x-request-id", ""))
        handler.end_headers()
        handler.wfile.write(body)

    def _forwarded(self, _there: Sequence[str]) -> list[tuple[str, str]]:
        # As a line of its own behind what the client may have sent; both together are one list.
        if not self._header:
            return []
        return [(self._header, f'for="{self._client}"' if self._header.lower() == "forwarded" else self._client)]

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
