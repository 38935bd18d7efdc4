"""The SDK's own exporters, over both protocols, for all three signals."""

from __future__ import annotations

import pytest
from grpc import Compression as GrpcCompression
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

RESOURCE = Resource.create({"service.name": "orders"})
IDS = {"request_id": "r-1", "user.id": "alice"}


def over_http(collector, kind, path, compression):
    return kind(endpoint=f"{collector.url}/v1/{path}", compression=HttpCompression(compression))


def over_grpc(collector, kind, _, compression):
    endpoint = f"127.0.0.1:{collector.collector.grpc_port}"
    algorithm = {"none": GrpcCompression.NoCompression, "gzip": GrpcCompression.Gzip}.get(
        compression, GrpcCompression.Deflate
    )
    return kind(endpoint=endpoint, insecure=True, compression=algorithm)


PROTOCOLS = [
    (over_http, (HttpSpans, HttpLogs, HttpMetrics)),
    (over_grpc, (GrpcSpans, GrpcLogs, GrpcMetrics)),
]


@pytest.mark.parametrize(("connect", "kinds"), PROTOCOLS, ids=["http", "grpc"])
@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_all_three_signals(shared, connect, kinds, compression):
    spans, logs, metrics = (
        connect(shared, kind, path, compression)
        for kind, path in zip(kinds, ("traces", "logs", "metrics"), strict=True)
    )
    name = f"{connect.__name__}-{compression}"
    tracers, loggers = TracerProvider(resource=RESOURCE), LoggerProvider(resource=RESOURCE)
    tracers.add_span_processor(BatchSpanProcessor(spans))
    loggers.add_log_record_processor(BatchLogRecordProcessor(logs))
    meters = MeterProvider([PeriodicExportingMetricReader(metrics, 3_600_000)], resource=RESOURCE)
    with tracers.get_tracer("shop").start_as_current_span(name, attributes={**IDS, "request_id": name}) as span:
        span.add_event("otelctx.set", {"user.id": "alice"})
        record = LogRecord(body=f"inside {name}", severity_number=SeverityNumber.WARN, severity_text="WARN")
        loggers.get_logger("shop.log").emit(record)
    meters.get_meter("shop").create_histogram(f"{name}.duration", "s").record(0.2, {"route": "/"})
    for provider in (tracers, loggers, meters):
        provider.shutdown()

    story = shared.get("/api/story", request_id=name).json()
    (span,), (log,) = story["spans"], story["logs"]
    assert (story["user_id"], story["services"]) == ("alice", ["orders"])
    assert (span["name"], span["scope"], span["kind"]) == (name, "shop", "internal")
    assert span["events"][0]["attributes"] == {"user.id": "alice"}
    assert (log["body"], log["severity_number"], log["severity_text"]) == (f"inside {name}", 13, "WARN")
    assert (log["trace_id"], log["span_id"]) == (span["trace_id"], span["span_id"])
    (point,) = shared.get("/api/metrics", name=f"{name}.duration").json()["metrics"]
    assert (point["type"], point["unit"], point["count"], point["sum"]) == ("histogram", "s", "1", 0.2)
    assert point["attributes"] == {"route": "/"}
    assert sum(map(int, point["bucket_counts"])) == 1
    assert point["resource"]["service.name"] == "orders"
