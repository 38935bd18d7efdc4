"""
Every batch against the SDK's own encoder: the same bytes, for whatever that one can encode.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as sdk_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics as sdk_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as sdk_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

from otelctx.core.reports import counts
from otelctx.export.otlp import encode_logs, encode_metrics, encode_spans
from tests.export.otlp.strategies import log_batches, metrics_data, span_batches

# Batches are large to generate, and how long that takes on this machine is not the question.
THOROUGH = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class TestEncode:
    """What is written is what the SDK writes."""

    @given(span_batches())
    @THOROUGH
    def test_spans_are_the_same_bytes(self, spans: list[ReadableSpan]) -> None:
        assert encode_spans(spans) == sdk_spans(spans).SerializeToString()
        assert counts() == {}

    @given(log_batches())
    @THOROUGH
    def test_log_records_are_the_same_bytes(self, records: list[ReadableLogRecord]) -> None:
        assert encode_logs(records) == sdk_logs(records).SerializeToString()
        assert counts() == {}

    @given(metrics_data())
    @THOROUGH
    def test_metrics_are_the_same_bytes(self, data: MetricsData) -> None:
        assert encode_metrics(data) == sdk_metrics(data).SerializeToString()
        assert counts() == {}
