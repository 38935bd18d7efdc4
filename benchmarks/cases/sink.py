"""
A collector that counts: it takes OTLP over HTTP on 127.0.0.1, and keeps nothing but the number of spans.

    python -m benchmarks.cases.sink

It prints its port, and for each line of standard input the number of spans so far.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.harness.rounds import ROOT

_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"


class Sink:
    """A sink in a process of its own, on another core than the caller where there is one."""

    def __init__(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "benchmarks.cases.sink"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        away_from_here(self._process.pid)
        self.url = f"http://127.0.0.1:{self._line()}/v1/traces"

    def spans(self) -> int:
        """Return how many spans have come."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        return self._process.stdout.readline().strip()


def away_from_here(process: int) -> None:
    """Keep *process* off the cores of this one, where the system can and has more."""
    if hasattr(os, "sched_setaffinity"):
        others = {*range(os.cpu_count() or 1)} - os.sched_getaffinity(0)
        if others:
            os.sched_setaffinity(process, others)


async def _serve() -> None:
    count = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                body = await reader.readexactly(length)
                if b"/v1/traces" in head.split(b"\r\n", 1)[0]:
                    count += _spans(body, compressed=b"content-encoding: gzip" in head)
                writer.write(_OK)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(count, flush=True)


def _spans(body: bytes, *, compressed: bool) -> int:
    if compressed:
        import gzip

        body = gzip.decompress(body)
    resources = ExportTraceServiceRequest.FromString(body).resource_spans
    return sum(len(scope.spans) for resource in resources for scope in resource.scope_spans)


if __name__ == "__main__":
    asyncio.run(_serve())
