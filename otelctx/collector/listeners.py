"""
The listeners: one socket for HTTP, one port for gRPC.

A port that cannot be had is an error with the next step; it is never shared with another process.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from otelctx.collector.connections import HttpConfig
from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc.aio
    from starlette.types import ASGIApp

    from otelctx.collector.config import CollectorConfig


class HttpServer(uvicorn.Server):
    """Uvicorn without its signal handlers, which tells when it accepts."""

    def __init__(self, app: ASGIApp, config: CollectorConfig) -> None:
        """Serve *app*."""
        super().__init__(
            HttpConfig(
                app,
                config,
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=config.access_log,
                server_header=False,
                timeout_graceful_shutdown=max(1, int(config.shutdown_seconds)),
            )
        )
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets=sockets)
        self.accepting.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals to the collector's command."""
        yield


def listen(host: str, port: int, name: str) -> socket.socket:
    """
    Listen on *host* and *port*.

    Args:
        host: A name or an address.
        port: 0 takes a free one.
        name: The option that changes it, for the error.

    Raises:
        CollectorError: when the address or port cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1024)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise unavailable(host, port, name, error) from error
    return listener


def listen_grpc(server: grpc.aio.Server, host: str, port: int) -> int:
    """
    Bind *server* and give its port.

    Raises:
        CollectorError: when the address or port cannot be had.
    """
    # gRPC does not say why it cannot bind, so a socket of our own asks first.
    listen(host, port, "--grpc-port").close()
    try:
        return server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError as error:
        taken = OSError(errno.EADDRINUSE, "Address already in use")
        raise unavailable(host, port, "--grpc-port", taken) from error


def unavailable(host: str, port: int, name: str, error: OSError) -> CollectorError:
    """Say what to do about a port that cannot be had."""
    if error.errno == errno.EADDRINUSE:
        return CollectorError(
            f"Port {port} is in use; is another collector running? Use that one, or {name} 0 for a free port"
        )
    if error.errno == errno.EACCES:
        return CollectorError(f"Port {port} needs more rights; give {name} a number from 1024 on, or 0")
    return CollectorError(f"Cannot listen on {host}: {error.strerror or error}; give --host an address of this machine")
