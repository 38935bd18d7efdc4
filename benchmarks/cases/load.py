"""
Load on a server: connections that are kept open, each with one request at a time, as fast as the server answers.

    python -m benchmarks.cases.load

For each line ``PORT REQUESTS`` it makes so many requests, and prints how long they took.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any, Final

from benchmarks.cases.asgi import REQUEST_ID, TRACEPARENT
from benchmarks.cases.sink import away_from_here
from benchmarks.harness.rounds import ROOT

CONNECTIONS: Final = 16
_REQUEST: Final = (
    "GET /orders/{} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: benchmark/1.0\r\naccept: application/json\r\n"
    f"x-request-id: {REQUEST_ID}\r\ntraceparent: {TRACEPARENT[1].decode()}\r\n\r\n"
)
_END: Final = b"\r\n\r\nok"


class Load:
    """Load that a process of its own makes, on another core than the caller where there is one."""

    def __init__(self) -> None:
        """Start it; it waits."""
        command = [sys.executable, "-m", "benchmarks.cases.load"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        away_from_here(self._process.pid)

    def make(self, port: int, requests: int) -> dict[str, float]:
        """Make so many requests, and return requests a second and percentiles of their time in microseconds."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        self._process.stdin.write(f"{port} {requests}\n")
        self._process.stdin.flush()
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found


class _Connection(asyncio.Protocol):
    """Asks, and asks again when it has been answered, until *left* has none left."""

    def __init__(self, left: list[int], taken: list[float], done: asyncio.Future[None]) -> None:
        self._left = left
        self._taken = taken
        self._done = done
        self._got = b""
        self._began = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._got.endswith(_END):
            self._taken.append(time.perf_counter() - self._began)
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server has closed the connection"))

    def _ask(self) -> None:
        if not self._left:
            self._done.set_result(None)
            self._transport.close()
            return
        self._got = b""
        self._began = time.perf_counter()
        self._transport.write(_REQUEST.format(self._left.pop() % 1000).encode())


async def _made(port: int, requests: int) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    left, taken = list(range(requests)), []  # type: tuple[list[int], list[float]]
    done = [loop.create_future() for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for one in done:
        await loop.create_connection(lambda one=one: _Connection(left, taken, one), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*done)
    spent = time.perf_counter() - began
    taken.sort()
    return {
        "requests/s": requests / spent,
        "p50": taken[requests // 2] * 1e6,
        "p99": taken[requests * 99 // 100] * 1e6,
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(asyncio.run(_made(*map(int, line.split())))), flush=True)
