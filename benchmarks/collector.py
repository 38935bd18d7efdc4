"""
What a span costs the real collector, for each configuration of collector-config/: processor time, memory, bytes.

Processor time is read from the operating system for the collector's process alone, so that the machine's other work and
the sender beside it do not count. Every span is of its own, as tail sampling would otherwise see a few giant traces.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from rich.console import Console
from rich.table import Table

from otelctx.demo.processes import ProcessGroup
from tests.otelcol.running import FOLDER, Otelcol, Site, await_that, own_address

RESULTS = Path(__file__).parent / "results" / "collector.json"
SPANS = int(os.environ.get("SPANS", "300000"))
TRACES_IN_A_BATCH, SPANS_IN_A_TRACE, CONNECTIONS = 100, 5, 4
BATCH = TRACES_IN_A_BATCH * SPANS_IN_A_TRACE
_TICKS = os.sysconf("SC_CLK_TCK")
# A backend that costs the sender nothing: a collector that counts what it gets and keeps nothing.
SINK = """yaml:{receivers: {otlp: {protocols: {grpc: {endpoint: "${env:OTELCOL_HOST}:4317"}}}},
 extensions: {health_check: {endpoint: "${env:OTELCOL_HOST}:13133"}},
 exporters: {debug: {verbosity: basic, sampling_initial: 1, sampling_thereafter: 100000}},
 service: {extensions: [health_check], telemetry: {metrics: {level: none}},
  pipelines: {traces: {receivers: [otlp], exporters: [debug]}, metrics: {receivers: [otlp], exporters: [debug]}}}}"""
CONFIGURATIONS = {
    "base": ("base.yaml",),
    "agent, to 2 gateways": ("base.yaml", "gateway/agent.yaml"),
    "production, keeps 10 %": ("base.yaml", "production.yaml"),
    "the same, queue with fsync": ("base.yaml", "production.yaml", "yaml:extensions::file_storage::fsync: true"),
    "production, keeps 100 %": ("base.yaml", "production.yaml"),
}


@dataclass(frozen=True)
class Result:
    """One configuration's numbers."""

    configuration: str
    spans: int
    bytes_per_span: float
    processor_seconds: float
    spans_per_processor_second: int
    seconds: float
    peak_mib: int


def template() -> bytes:
    """Return a batch as the demo's services send them, with zeros for ids: 15 attributes a span, about 700 bytes."""
    request = ExportTraceServiceRequest()
    of_service = request.resource_spans.add()
    for key, value in {"service.name": "gateway", "service.instance.id": "0" * 36, "host.name": "host-1"}.items():
        of_service.resource.attributes.add(key=key).value.string_value = value
    scope = of_service.scope_spans.add()
    scope.scope.name = "opentelemetry.instrumentation.fastapi"
    now = time.time_ns()
    for number in range(BATCH):
        first = number % SPANS_IN_A_TRACE == 0
        span = scope.spans.add(
            trace_id=b"T" * 16,
            span_id=b"S" * 8,
            parent_span_id=b"" if first else b"P" * 8,
            name="POST /checkout",
            kind=Span.SPAN_KIND_SERVER if first else Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=now - 20_000_000,
            end_time_unix_nano=now,
        )
        texts = {
            "request_id": "0197f3c2-7c1a-7c4e-9f0e-3c9d5b2a7e10",
            "user.id": "alice",
            "otelctx.request_id.origin": "generated",
            "http.request.method": "POST",
            "http.route": "/checkout",
            "url.scheme": "http",
            "url.path": "/checkout",
            "url.full": "http://gateway:8000/checkout?sku=book&quantity=1",
            "server.address": "gateway",
            "client.address": "127.0.0.1",
            "user_agent.original": "python-httpx/0.28.1",
            "network.protocol.version": "1.1",
        }
        for key, text in texts.items():
            span.attributes.add(key=key).value.string_value = text
        for key, integer in {"http.response.status_code": 200, "server.port": 8000, "client.port": 43210}.items():
            span.attributes.add(key=key).value.int_value = integer
    return request.SerializeToString()


def batches(count: int) -> list[bytes]:
    """Return *count* batches with ids of their own."""
    pieces = template().split(b"T" * 16)
    made = []
    for _ in range(count):
        ids = [secrets.token_bytes(16) for _ in range(TRACES_IN_A_BATCH)]
        body = bytearray(pieces[0])
        for number, piece in enumerate(pieces[1:]):
            body += ids[number // SPANS_IN_A_TRACE] + piece.replace(b"S" * 8, secrets.token_bytes(8))
        made.append(bytes(body))
    return made


async def send(url: str, bodies: list[bytes]) -> None:
    """Send all *bodies* over a few connections; what is refused is sent again, as every exporter does."""
    waiting = list(bodies)
    headers = {"content-type": "application/x-protobuf"}

    async def work(client: httpx.AsyncClient) -> None:
        while waiting:
            body = waiting.pop()
            answer = await client.post(f"{url}/v1/traces", content=body, headers=headers)
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                waiting.append(body)
                await asyncio.sleep(0.05)
            else:
                answer.raise_for_status()

    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        await asyncio.gather(*(work(client) for _ in range(CONNECTIONS)))


def processor_seconds(pid: int) -> float:
    """Return user and system time of the process *pid* (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mib(pid: int) -> int:
    """Return the largest resident size that the process *pid* has had."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def measure(name: str, binary: str, directory: Path, bodies: list[bytes]) -> Result:
    """Send all *bodies* through the configuration *name*."""
    with ProcessGroup(directory) as group:
        site = Site(binary, group, directory)
        sinks = [site.otelcol(SINK, host=own_address()) for _ in range(2)]
        collector = site.otelcol(
            *CONFIGURATIONS[name],
            backend=f"{sinks[0].host}:4317",
            settings={
                "OTELCOL_GATEWAYS": json.dumps([f"{sink.host}:4317" for sink in sinks]),
                "OTELCOL_KEEP_PERCENT": "100" if "100 %" in name else "10",
                "OTELCOL_DECISION_WAIT": "5s",
            },
        )
        pid = collector.process.popen.pid
        before, start = processor_seconds(pid), time.monotonic()
        asyncio.run(send(collector.http, bodies))
        sampled = "production" in name or "fsync" in name
        await_that(lambda: is_done(collector, len(bodies), sampled=sampled), "the rest", check=site.check)
        used, seconds = processor_seconds(pid) - before, time.monotonic() - start
        spans = len(bodies) * BATCH
        return Result(
            name,
            spans,
            round(sum(map(len, bodies)) / spans, 1),
            round(used, 2),
            int(spans / used),
            round(seconds, 1),
            peak_mib(pid),
        )


def is_done(collector: Otelcol, batches_sent: int, *, sampled: bool) -> bool:
    """Tell whether the collector has decided about every trace, and sent what it keeps."""
    decided = collector.counter("otelcol_processor_tail_sampling_global_count_traces_sampled")
    if sampled and decided < batches_sent * TRACES_IN_A_BATCH:
        return False
    return collector.counter("otelcol_exporter_queue_size", data_type="traces") == 0


def main() -> None:
    """Measure all configurations, print and keep the numbers."""
    binary = subprocess.run([FOLDER / "otelcol", "path"], capture_output=True, text=True, check=False)
    if binary.returncode:
        sys.exit(binary.stderr.strip())
    bodies = batches(SPANS // BATCH)
    results = []
    for name in CONFIGURATIONS:
        with tempfile.TemporaryDirectory() as directory:
            results.append(measure(name, binary.stdout.strip(), Path(directory), bodies))
    RESULTS.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n", "utf-8")
    table = Table(*asdict(results[0]))
    for result in results:
        table.add_row(*map(str, asdict(result).values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
