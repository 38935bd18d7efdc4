"""
Applications as their users start them: real processes, a real collector, real HTTP.

A run is over when its process has ended, so what the collector has then is all there will ever be, and that something
is absent can be asserted too.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.bare_environment import bare_environment

APPS = Path(__file__).parent / "apps"
BESIDE_PYTHON = Path(sys.executable).parent

# Left out where a test does not name them: each test says which libraries are instrumented.
_GRPC = ("grpc_aio_client", "grpc_aio_server", "grpc_client", "grpc_server")
_CLIENTS = ("aiohttp-client", "botocore", "httpx", "requests", "urllib", "urllib3")
INSTRUMENTATIONS = ("django", "fastapi", "flask", *_GRPC, *_CLIENTS, "starlette", "threading")

LAUNCHERS = {
    "otelctx run": (sys.executable, "-m", "otelctx.cli", "run"),
    "opentelemetry-instrument": (str(BESIDE_PYTHON / "opentelemetry-instrument"),),
    "nothing": (),
}


def eventually(check: Callable[[], Any], *, seconds: float = 60, what: str = "it") -> Any:
    """Return what *check* returns as soon as that is true; ask again until *seconds* are over."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Collector:
    """The local collector in its own process, asked over its query interface."""

    def __init__(self, url: str, store: Path) -> None:
        self.url = url
        self.store = store

    def _ask(self, what: str, **parameters: str) -> list[dict[str, Any]]:
        with urlopen(f"{self.url}/api/{what}?{urlencode({'limit': '1000', **parameters})}", timeout=20) as answer:
            return list(json.load(answer)[what])

    def spans(self, **parameters: str) -> list[dict[str, Any]]:
        return self._ask("spans", **parameters)

    def logs(self, **parameters: str) -> list[dict[str, Any]]:
        return self._ask("logs", **parameters)

    def metrics(self, **parameters: str) -> list[dict[str, Any]]:
        return self._ask("metrics", **parameters)


class Answer:
    """A response, read to its end."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.body = response.read()
        self.status = response.status
        self.headers = [(name.lower(), value) for name, value in response.getheaders()]

    def header(self, name: str) -> str | None:
        """Return the value of header *name*; None if it is not there exactly once."""
        values = [value for key, value in self.headers if key == name]
        return values[0] if len(values) == 1 else None


class Service:
    """One process that serves HTTP, and what it leaves at the collector."""

    def __init__(
        self,
        collector: Collector,
        folder: Path,
        command: Sequence[str],
        *,
        launcher: str = "otelctx run",
        instrumentations: Sequence[str] = (),
        cwd: Path = APPS,
        **environment: str,
    ) -> None:
        self.collector = collector
        self.port = free_port()
        self.name = f"{folder.name}-{self.port}"
        self._log = folder / f"{self.name}.log"
        with self._log.open("wb") as log:
            self.popen = subprocess.Popen(
                [*LAUNCHERS[launcher], *(word.format(port=self.port) for word in command)],
                env={**self._environment(instrumentations), **environment},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self, instrumentations: Sequence[str]) -> dict[str, str]:
        kept = bare_environment("PYTHON", "DJANGO")
        return {
            **kept,
            "PATH": f"{BESIDE_PYTHON}{os.pathsep}{kept.get('PATH', '')}",
            "PYTHONPATH": str(APPS),
            "PYTHONUNBUFFERED": "1",
            "OTEL_SERVICE_NAME": self.name,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join({*INSTRUMENTATIONS} - {*instrumentations}),
        }

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text("utf-8", "replace")

    def _accepts(self) -> bool:
        assert self.popen.poll() is None, f"it ended with status {self.popen.returncode}:\n{self.output}"
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def wait_until_ready(self) -> None:
        """Return when it accepts connections."""
        try:
            eventually(self._accepts, what=f"accepting connections on port {self.port}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output}") from None

    def connection(self) -> http.client.HTTPConnection:
        """Return a new connection to it."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Return its answer to one request over a connection of its own."""
        (answer,) = self.get_all([(path, headers or {})])
        return answer

    def get_all(self, requests: Iterable[tuple[str, Mapping[str, str]]]) -> list[Answer]:
        """Return its answers to *requests*, one after the other over one connection, as long as it keeps that open."""
        connection = self.connection()
        answers = []
        try:
            for path, headers in requests:
                connection.request("GET", path, headers=dict(headers))
                answers.append(Answer(connection.getresponse()))
        finally:
            connection.close()
        return answers

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 40) -> float:
        """End it as a process supervisor does, and return how long that took, in seconds."""
        started = time.monotonic()
        self.popen.send_signal(number)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {seconds} s after {number.name}:\n{self.output}") from None
        finally:
            self.kill()
        return time.monotonic() - started

    def kill(self) -> None:
        """End it and everything it started, if there is anything left."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def spans(self, **parameters: str) -> list[dict[str, Any]]:
        """Return its spans at the collector."""
        return self.collector.spans(service=self.name, **parameters)

    def logs(self, **parameters: str) -> list[dict[str, Any]]:
        """Return its log records at the collector."""
        return self.collector.logs(service=self.name, **parameters)


Make = Callable[..., Service]


@pytest.fixture(scope="session")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    folder = tmp_path_factory.mktemp("collector")
    ready, store = folder / "ready.json", folder / "store.sqlite3"
    command = [sys.executable, "-m", "otelctx.collector", "--http-port", "0", "--grpc-port", "0"]
    kept = bare_environment()
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(
            [*command, "--store", str(store), "--ready-file", str(ready)],
            stdout=log,
            stderr=log,
            env=kept,
        ) as process,
    ):
        try:
            eventually(lambda: ready.exists() or process.poll() is not None, what="the collector's start")
            assert process.poll() is None, (folder / "log").read_text()
            yield Collector(f"http://127.0.0.1:{json.loads(ready.read_text())['http_port']}", store)
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def make_service(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Start services; whoever does waits for them and stops them, and in the end none is left."""
    services: list[Service] = []

    def made(*command: str, **options: Any) -> Service:
        service = Service(collector, tmp_path_factory.mktemp("service"), command, **options)
        services.append(service)
        return service

    yield made
    for service in services:
        service.kill()


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """Wait for something to happen, as `eventually` does."""
    return eventually


@pytest.fixture
def start(make_service: Make) -> Iterator[Make]:
    """Start services that are ready, and end with the test."""
    services: list[Service] = []

    def started(*command: str, **options: Any) -> Service:
        services.append(make_service(*command, **options))
        services[-1].wait_until_ready()
        return services[-1]

    yield started
    for service in services:
        service.kill()
