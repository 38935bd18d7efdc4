"""
The three services as processes: their commands, addresses and environment.

A service gets a socket that already listens, never a port number: no other program can take the port in between, and
a request sent before the service is up waits instead of failing.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from otelctx.demo.processes import ProcessGroup

Launcher = Literal["otelctx", "opentelemetry-instrument", "plain"]

_BIN = Path(sys.executable).parent
_LAUNCHERS: dict[Launcher, list[str]] = {
    "otelctx": [sys.executable, "-m", "otelctx.cli", "run"],
    "opentelemetry-instrument": [str(_BIN / "opentelemetry-instrument")],
    "plain": [],
}
# A variable that the caller happens to have set must not change what the demo shows.
_FOREIGN = ("OTEL_", "OTELCTX_", "UVICORN_", "GUNICORN_", "FLASK_", "WEB_CONCURRENCY")
# What is worth seeing should be seen soon: export five times a second instead of once in one or five seconds.
_TELEMETRY = {
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "2000",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_PYTHON_EXCLUDED_URLS": "healthz",
}


def _uvicorn(application: str) -> Callable[[int], list[str]]:
    return lambda fd: ["uvicorn", application, "--fd", str(fd), "--timeout-graceful-shutdown", "3"]


def _gunicorn(application: str) -> Callable[[int], list[str]]:
    """
    Serve WSGI with gunicorn.

    Its access log goes through `logging`, it takes a listening socket and it ends cleanly on SIGTERM; ``flask run``
    does only the first of these. Its control socket would be a file in the user's home directory.
    """
    options = ["--threads", "8", "--graceful-timeout", "3", "--access-logfile", "-", "--no-control-socket"]
    return lambda fd: ["gunicorn", application, "--bind", f"fd://{fd}", *options]


SERVICES: dict[str, Callable[[int], list[str]]] = {
    "inventory": _gunicorn("otelctx.demo.inventory:create_app()"),
    "orders": _uvicorn("otelctx.demo.orders:app"),
    "gateway": _uvicorn("otelctx.demo.gateway:app"),
}


@dataclass(frozen=True)
class Address:
    """A port of the loopback interface."""

    port: int

    @property
    def url(self) -> str:
        """The URL without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"


def listen() -> socket.socket:
    """Return a socket that listens on a free loopback port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    # Servers that are handed a descriptor do not set this themselves; without it each answer may wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would change the services' behaviour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {"PATH": f"{_BIN}{os.pathsep}{kept.get('PATH', os.defpath)}", "NO_PROXY": "127.0.0.1"}


def start_services(
    group: ProcessGroup, *, launcher: Launcher, collector_url: str, settings: Mapping[str, str]
) -> dict[str, Address]:
    """
    Start all services in *group*, without waiting for them, and return their addresses by name.

    *settings* are further environment variables. The launcher ``plain`` starts the services without telemetry.
    """
    listeners = {name: listen() for name in SERVICES}
    addresses = {name: Address(listener.getsockname()[1]) for name, listener in listeners.items()}
    environment = {
        **clean_environment(),
        **_TELEMETRY,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector_url,
        "ORDERS_URL": addresses["orders"].url,
        "INVENTORY_URL": addresses["inventory"].url,
        **settings,
    }
    for name, listener in listeners.items():
        with listener:
            command = [*_LAUNCHERS[launcher], *SERVICES[name](listener.fileno())]
            group.start(name, command, {**environment, "OTEL_SERVICE_NAME": name}, [listener.fileno()])
    return addresses
