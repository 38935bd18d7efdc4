"""
Collectors for `delivery.py`: processes that are stopped and started again, and count how often each span came.
"""

# ruff: noqa: D102, D103, D107 - a script: the table names what is measured, and this prints it

from __future__ import annotations

import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(check: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


class Collector(ABC):
    """
    A collector on a port of its own.

    Attributes:
        seen: how often each span came, in all of its lives, as of the last look.
        version: what it is, for the results.
    """

    version: str

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.port = free_port()
        self.seen: Counter[str] = Counter()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def command(self) -> list[str]:
        """Return its command line."""

    @abstractmethod
    def look(self) -> int:
        """Update `seen`, and return how many different spans came."""

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        wait_for(self._accepts, "the start of the collector")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def _accepts(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


class LocalCollector(Collector):
    """``otelctx collector``, whose store is a database."""

    version = "otelctx collector"

    def command(self) -> list[str]:
        options = {
            "--http-port": str(self.port),
            "--grpc-port": "0",
            "--store": str(self._store),
            "--max-store": "8192",
        }
        return [sys.executable, "-m", "otelctx.collector", *(word for option in options.items() for word in option)]

    def look(self) -> int:
        with closing(sqlite3.connect(self._store)) as connection:
            self.seen = Counter(row[0] for row in connection.execute("SELECT lower(hex(span_id)) FROM spans"))
        return len(self.seen)

    @property
    def _store(self) -> Path:
        return self.folder / "collector.sqlite3"


class RealCollector(Collector):
    """The OpenTelemetry Collector, which writes what comes to a file."""

    _CONFIG = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: "{path}", append: true, flush_interval: 200ms}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{traces: {{receivers: [otlp], exporters: [file]}}}}
"""

    def __init__(self, folder: Path, binary: str) -> None:
        super().__init__(folder)
        self._binary = binary
        self._output = folder / "spans.json"
        self._output.touch()
        self._offset = 0
        (folder / "config.yaml").write_text(self._CONFIG.format(port=self.port, path=self._output))
        self.version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    @staticmethod
    def binary() -> str | None:
        """Return the collector that ``make otelcol`` has made, or None when there is none."""
        found = subprocess.run(
            [ROOT / "collector-config" / "otelcol", "path"], capture_output=True, text=True, check=False
        )
        return found.stdout.strip() or None

    def command(self) -> list[str]:
        return [self._binary, "--config", str(self.folder / "config.yaml")]

    def look(self) -> int:
        with self._output.open("rb") as output:
            output.seek(self._offset)
            # Up to the end of the last line that is whole.
            text = output.read().rpartition(b"\n")[0]
        self._offset += len(text)
        self.seen.update(match.decode() for match in re.findall(rb'"spanId":"([0-9a-f]{16})"', text))
        return len(self.seen)
