"""
Collectors to test: in a thread of this process, and as processes of their own; and requests to send them.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelctx.collector.config import CollectorConfig
from otelctx.collector.server import Collector

PROTOBUF = {"content-type": "application/x-protobuf"}


class Running:
    """A collector on an event loop in a thread, and an HTTP client for it."""

    def __init__(self, config: CollectorConfig):
        self.collector = Collector(config)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.client = None
        try:
            self.run(self.collector.start())
        except BaseException:
            self.end_loop()
            raise
        self.url = f"http://127.0.0.1:{self.collector.http_port}"
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def post(self, path, body, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=body, headers={**PROTOBUF, **named})

    def get(self, path, **query):
        return self.client.get(path, params=query)

    def stats(self):
        return self.get("/api/stats").json()

    def stop(self):
        if self.client is not None:
            self.client.close()
            self.client = None
            self.run(self.collector.stop())
            self.end_loop()

    def end_loop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def start():
    """Start collectors in this process; they stop with the test."""
    started = []

    def start(**config):
        started.append(Running(CollectorConfig(**{"http_port": 0, "grpc_port": 0, **config})))
        return started[-1]

    yield start
    for running in reversed(started):
        running.stop()


@pytest.fixture
def collector(start):
    """One collector with its defaults."""
    return start()


@pytest.fixture(scope="module")
def shared():
    """One collector for all tests of a module, for those that only ask."""
    running = Running(CollectorConfig(http_port=0, grpc_port=0, max_body_bytes=1_000_000))
    yield running
    running.stop()


class Process:
    """``python -m otelctx.collector`` as a process of its own."""

    def __init__(self, *arguments, env=None, command=(sys.executable, "-m", "otelctx.collector")):
        self.process = subprocess.Popen(
            [*command, "--http-port", "0", "--grpc-port", "0", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        readable, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if readable else ""
        if not line:
            self.process.kill()
            raise AssertionError(self.process.communicate()[1])
        self.errors = None
        self.ready = json.loads(line)
        self.url = f"http://127.0.0.1:{self.ready['http_port']}"

    def peak_memory(self):
        """Bytes of resident memory at the most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def end(self, number=signal.SIGTERM):
        """Signal the process and give its exit status and errors."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            _, self.errors = self.process.communicate(timeout=30)
        return self.process.returncode, self.errors


@pytest.fixture
def spawn():
    """Start collectors as processes; they end with the test."""
    spawned = []

    def spawn(*arguments, **options):
        spawned.append(Process(*arguments, **options))
        return spawned[-1]

    yield spawn
    for process in spawned:
        process.end(signal.SIGKILL)


def attributes(target, values):
    for key, value in values.items():
        entry = target.add(key=key)
        setattr(entry.value, {str: "string_value", bool: "bool_value", int: "int_value"}[type(value)], value)


def trace(*spans, service="gateway"):
    """An export request of spans, each a mapping: trace, span, parent, name, start, end, error, and attributes."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attributes(resource.resource.attributes, {"service.name": service})
    scope = resource.scope_spans.add()
    scope.scope.name = "tests"
    for given in spans:
        span = scope.spans.add(
            trace_id=given.get("trace", b"t" * 16),
            span_id=given.get("span", b"s" * 8),
            parent_span_id=given.get("parent", b""),
            name=given.get("name", "work"),
            kind=given.get("kind", 1),
            start_time_unix_nano=given.get("start", 1_000),
            end_time_unix_nano=given.get("end", 2_000),
        )
        span.status.code = 2 if given.get("error") else 0
        attributes(span.attributes, given.get("attributes", {}))
    return request.SerializeToString()


def logs(*records, service="gateway"):
    """An export request of log records, each a mapping: trace, span, time, severity, body, and attributes."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    attributes(resource.resource.attributes, {"service.name": service})
    scope = resource.scope_logs.add()
    scope.scope.name = "tests"
    for given in records:
        record = scope.log_records.add(
            trace_id=given.get("trace", b""),
            span_id=given.get("span", b""),
            time_unix_nano=given.get("time", 1_500),
            observed_time_unix_nano=given.get("observed", given.get("time", 1_500)),
            severity_number=given.get("severity", 9),
            severity_text=given.get("severity_text", "INFO"),
        )
        record.body.string_value = given.get("body", "hello")
        attributes(record.attributes, given.get("attributes", {}))
    return request.SerializeToString()


@pytest.fixture(scope="session")
def otlp():
    """Builders of export requests in protobuf."""
    return SimpleNamespace(trace=trace, logs=logs)
