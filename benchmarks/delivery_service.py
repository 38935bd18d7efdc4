"""
One side of `delivery.py`: makes spans at a steady rate until it is told to pause, and ends when it is told so.
"""

# ruff: noqa: D103, T201 - a script: the table names what is measured, and this prints it

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from threading import Event, Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otelctx.export.endpoint import Endpoint
from otelctx.export.exporters import SpoolingSpanExporter
from otelctx.export.processors import SpoolingSpanProcessor
from otelctx.export.settings import SpoolSettings


def processor_of(variant: str, url: str, folder: Path) -> SpanProcessor:
    if variant == "plain SDK":
        return BatchSpanProcessor(OTLPSpanExporter(url))
    return SpoolingSpanProcessor(SpoolingSpanExporter(SpoolSettings(folder / "spool", "shop"), Endpoint(url)))


def main() -> None:
    variant, url, folder, rate = sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4])
    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(processor_of(variant, url, folder))
    tracer, paused = provider.get_tracer("benchmark"), Event()

    def load() -> None:
        began, made = time.monotonic(), 0
        with (folder / "ended").open("w", buffering=1 << 16) as ended:
            while not paused.wait(0.01):
                due = int((time.monotonic() - began) * rate)
                for _ in range(due - made):
                    made += 1
                    with tracer.start_as_current_span("GET /orders/{id}") as span:
                        span.set_attributes(
                            {
                                "http.request.method": "GET",
                                "url.path": "/orders/17",
                                "http.response.status_code": 200,
                                "user.id": "alice",
                                "request_id": f"0197f3c2-1111-7000-8000-{made:012d}",
                            }
                        )
                    ended.write(f"{span.get_span_context().span_id:016x}\n")

    thread = Thread(target=load)
    thread.start()
    print("ready", flush=True)
    sys.stdin.readline()
    paused.set()
    thread.join()
    print("paused", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    provider.shutdown()
    print(json.dumps({"shutdown_seconds": time.monotonic() - began, "cpu_seconds": time.process_time()}), flush=True)


if __name__ == "__main__":
    main()
