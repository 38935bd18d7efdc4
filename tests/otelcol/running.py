"""
Real collectors as processes, and the local collector of otelctx as the backend behind them.

Each has a loopback address of its own, so the configurations keep their ports and nobody else can take them.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from otelctx.demo.processes import Process, ProcessGroup
from otelctx.demo.readiness import wait_until
from otelctx.demo.services import clean_environment

FOLDER = Path(__file__).parents[2] / "collector-config"
PATIENCE = 60.0

_network = random.Random(os.getpid()).randrange(1 << 14)  # other runs on this machine use other addresses
_hosts = itertools.count(2)


def own_address() -> str:
    """Return an address of 127.64.0.0/10 that this process has not given out yet."""
    number = next(_hosts)
    assert number < 255
    return f"127.{64 + (_network >> 8)}.{_network & 255}.{number}"


def await_that(done: Callable[[], bool], what: str, *, check: Callable[[], None]) -> None:
    """Wait until *done*; *check* raises when waiting has become pointless."""
    assert wait_until(done, check=check, deadline=time.monotonic() + PATIENCE), f"still waiting for {what}"


def fetch(url: str, **query: Any) -> httpx.Response | None:
    """Return the answer of *url*, or None while nobody answers."""
    try:
        return httpx.get(url, params=query, timeout=10, trust_env=False)
    except httpx.TransportError:
        return None


@dataclass(frozen=True)
class Backend:
    """A local collector that keeps what it gets in memory."""

    host: str
    process: Process

    @property
    def url(self) -> str:
        return f"http://{self.host}:4318"

    @property
    def grpc(self) -> str:
        return f"{self.host}:4317"

    def get(self, path: str, **query: Any) -> Any:
        return httpx.get(f"{self.url}/api/{path}", params=query, timeout=10, trust_env=False).raise_for_status().json()

    def spans(self, **query: Any) -> list[dict[str, Any]]:
        return self.get("spans", limit=1000, **query)["spans"]

    def logs(self, **query: Any) -> list[dict[str, Any]]:
        return self.get("logs", limit=1000, **query)["logs"]

    def metrics(self, **query: Any) -> list[dict[str, Any]]:
        return self.get("metrics", limit=1000, **query)["metrics"]


@dataclass(frozen=True)
class Otelcol:
    """A real collector that runs."""

    host: str
    process: Process

    @property
    def http(self) -> str:
        return f"http://{self.host}:4318"

    @property
    def grpc(self) -> str:
        return f"http://{self.host}:4317"

    @property
    def log(self) -> list[dict[str, Any]]:
        lines = self.process.log.read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def counter(self, name: str, **labels: str) -> float:
        """Return the sum of its own counter *name* over the series that have *labels*."""
        text = httpx.get(f"http://{self.host}:8888/metrics", trust_env=False).raise_for_status().text
        series = (line for line in text.splitlines() if line.partition("{")[0] == name)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(line.rsplit(" ", 1)[1]) for line in series if all(label in line for label in wanted))


class Site:
    """What a test runs: collectors and backends that end with it."""

    def __init__(self, binary: str, group: ProcessGroup, directory: Path) -> None:
        self._binary = binary
        self._group = group
        self._directory = directory
        self._names = map("{}-{}".format, itertools.repeat("process"), itertools.count(1))

    def check(self) -> None:
        self._group.check()

    def backend(self, host: str | None = None) -> Backend:
        """Start a backend, at *host* where one is given."""
        host = host or own_address()
        options = ["--host", host, "--http-port", "4318", "--grpc-port", "4317", "--store", ":memory:"]
        process = self._group.start(
            next(self._names), [sys.executable, "-m", "otelctx.collector", *options], clean_environment()
        )
        backend = Backend(host, process)
        await_that(lambda: _is_ok(fetch(f"{backend.url}/healthz")), "the backend", check=process.check)
        return backend

    def otelcol(
        self, *files: str, host: str | None = None, backend: str = "", settings: Mapping[str, str] | None = None
    ) -> Otelcol:
        """Start the collector with *files* of collector-config, or inline YAML, and wait until it is healthy."""
        host = host or own_address()
        environment = clean_environment() | {
            "OTELCOL_HOST": host,
            "OTELCOL_BACKEND": backend or f"{host}:1",
            "OTELCOL_BACKEND_INSECURE": "true",
            "OTELCOL_STORAGE": str(self._directory / f"queue-{host}"),
            "GOMAXPROCS": "2",
            **(settings or {}),
        }
        process = self._group.start(next(self._names), [self._binary, *configs(files)], environment)
        collector = Otelcol(host, process)
        await_that(lambda: _is_ok(fetch(f"http://{host}:13133/")), "the collector", check=process.check)
        return collector


def configs(files: Sequence[str]) -> list[str]:
    """Return the options that name *files*."""
    return [word for file in files for word in ("--config", file if file.startswith("yaml:") else str(FOLDER / file))]


def validate(binary: str, files: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Have the collector itself judge *files*."""
    return subprocess.run(
        [binary, "validate", *configs(files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=clean_environment(),
    )


def _is_ok(response: httpx.Response | None) -> bool:
    return response is not None and response.status_code == 200
