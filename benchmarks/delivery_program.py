"""
One side of `delivery.py`: makes a little of each signal and ends; it prints when its last line was done.
"""

# ruff: noqa: D103, T201 - a script: the table names what is measured, and this prints it

from __future__ import annotations

import sys
import time
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otelctx.export.endpoint import Endpoint
from otelctx.export.exporters import SpoolingLogRecordExporter, SpoolingMetricExporter, SpoolingSpanExporter
from otelctx.export.processors import SpoolingLogRecordProcessor, SpoolingSpanProcessor
from otelctx.export.settings import SpoolSettings


def main() -> None:
    variant, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    tracers, loggers = TracerProvider(), LoggerProvider()
    traces_to, logs_to, metrics_to = (f"{url}/v1/{name}" for name in ("traces", "logs", "metrics"))
    if variant == "plain SDK":
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(traces_to)))
        loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(logs_to)))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(metrics_to))
    else:
        settings = SpoolSettings(folder, "program")
        tracers.add_span_processor(SpoolingSpanProcessor(SpoolingSpanExporter(settings, Endpoint(traces_to))))
        log_exporter = SpoolingLogRecordExporter(settings, Endpoint(logs_to))
        loggers.add_log_record_processor(SpoolingLogRecordProcessor(log_exporter))
        reader = PeriodicExportingMetricReader(SpoolingMetricExporter(settings, Endpoint(metrics_to)))
    orders = MeterProvider([reader]).get_meter("benchmark").create_counter("orders")
    for _ in range(10):
        with tracers.get_tracer("benchmark").start_as_current_span("work"):
            loggers.get_logger("benchmark").emit(body="a line")
            orders.add(1)
    print(time.monotonic(), flush=True)


if __name__ == "__main__":
    main()
