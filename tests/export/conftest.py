"""
Collectors to deliver to: the local one as a process that dies and comes back, and servers that answer as they are told.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from otelctx.export.counters import COUNTERS
from otelctx.export.endpoint import Endpoint
from otelctx.export.patience import PATIENCE
from otelctx.export.settings import SpoolSettings
from tests.bare_environment import bare_environment


@pytest.fixture(autouse=True)
def _counted_from_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name not in bare_environment()]:
        monkeypatch.delenv(name)
    COUNTERS.reset()
    PATIENCE.spent = 0.0


def eventually(check: Callable[[], Any], *, seconds: float = 60, what: str = "it") -> Any:
    """Return what *check* returns as soon as that is true; ask again until *seconds* are over."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def settings(tmp_path: Path) -> SpoolSettings:
    """Settings of a service with a spool of its own."""
    return SpoolSettings(tmp_path / "spool", "shop")


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def spans() -> Callable[[int], list[ReadableSpan]]:
    """Make spans that have ended."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")

    def make(count: int) -> list[ReadableSpan]:
        made = []
        for number in range(count):
            with tracer.start_as_current_span(f"work {number}") as span:
                made.append(span)
        return made  # type: ignore[return-value]

    return make


class LocalCollector:
    """``otelctx collector`` as a process on fixed ports, with one store for all of its lives."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "collector.sqlite3"
        self.http_port = self.grpc_port = 0
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "otelctx.collector", "--json", "--store", str(self.store)),
                *("--http-port", str(self.http_port), "--grpc-port", str(self.grpc_port)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], 30)
        assert readable, "the collector did not start"
        ready = json.loads(self._process.stdout.readline())
        self.http_port, self.grpc_port = ready["http_port"], ready["grpc_port"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.communicate(timeout=30)
            self._process = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def endpoint(self, protocol: str = "http/protobuf", signal_name: str = "traces") -> Endpoint:
        if protocol == "grpc":
            return Endpoint(f"http://127.0.0.1:{self.grpc_port}", "grpc")
        return Endpoint(f"{self.url}/v1/{signal_name}")

    def span_ids(self) -> Counter[str]:
        """How often each span was delivered."""
        with closing(sqlite3.connect(self.store)) as connection:
            return Counter(row[0] for row in connection.execute("SELECT lower(hex(span_id)) FROM spans"))

    def count(self, table: str) -> int:
        with closing(sqlite3.connect(self.store)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[LocalCollector]:
    local = LocalCollector(tmp_path)
    yield local
    local.stop(signal.SIGKILL)


@dataclass
class Scripted:
    """
    An HTTP server that gives the answers in a list, one after the other, and 200 when there are no more.

    An answer is a status, headers and a body.
    """

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    port: int = 0

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{self.port}/v1/traces")


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            # Who ends, or reads no more than it needs of a large answer, is gone.
            with suppress(ConnectionError):
                super().handle()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            script.times.append(time.monotonic())
            script.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status, headers, answer = script.answers.pop(0) if script.answers else (200, {}, b"")
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield script
    server.shutdown()
    server.server_close()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port where connections are accepted and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield int(server.getsockname()[1])
