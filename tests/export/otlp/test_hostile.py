"""
What the SDK's encoder loses a batch or an attribute for; the deliberate differences from it, each one a test.
"""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as sdk_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics as sdk_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as sdk_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import Gauge, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext

from otelctx.core.reports import counts
from otelctx.export.otlp import encode_logs, encode_metrics, encode_spans

SCOPE = InstrumentationScope("tests")
CONTEXT = SpanContext(1, 2, is_remote=False)


def span(name: Any = "good", **given: Any) -> ReadableSpan:
    return ReadableSpan(name, CONTEXT, resource=Resource.get_empty(), instrumentation_scope=SCOPE, **given)


def decoded_spans(*spans: ReadableSpan) -> list[trace_pb2.Span]:
    request = ExportTraceServiceRequest.FromString(encode_spans(spans))
    return [each for resource in request.resource_spans for scope in resource.scope_spans for each in scope.spans]


def decoded_value(value: Any) -> AnyValue:
    (written,) = decoded_spans(span(attributes={"key": value}))
    (attribute,) = written.attributes
    return attribute.value


def log_record(**given: Any) -> ReadableLogRecord:
    return ReadableLogRecord(LogRecord(**given), Resource.get_empty(), SCOPE)


def decoded_logs(*records: ReadableLogRecord) -> list[logs_pb2.LogRecord]:
    request = ExportLogsServiceRequest.FromString(encode_logs(records))
    return [each for resource in request.resource_logs for scope in resource.scope_logs for each in scope.log_records]


def gauge(*values: Any, name: Any = "gauge") -> Metric:
    return Metric(name, None, None, Gauge([NumberDataPoint({}, 0, 1, value) for value in values]))


def metrics(*given: Metric) -> ResourceMetrics:
    return ResourceMetrics(Resource.get_empty(), [ScopeMetrics(SCOPE, given, "")], "")


def decoded_metrics(*given: ResourceMetrics) -> list[metrics_pb2.Metric]:
    request = ExportMetricsServiceRequest.FromString(encode_metrics(MetricsData(given)))
    return [each for resource in request.resource_metrics for scope in resource.scope_metrics for each in scope.metrics]


class Untellable:
    def __str__(self) -> str:
        raise RuntimeError


class TestValues:
    """Every value has a form, https://opentelemetry.io/docs/specs/otel/common/attribute-type-mapping/."""

    @pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**100])
    def test_an_integer_of_more_than_64_bits_is_its_digits(self, number: int) -> None:
        assert decoded_value(number).string_value == str(number)
        assert decoded_value([number]).array_value.values[0].string_value == str(number)

    def test_an_integer_too_long_for_digits_is_an_empty_value(self) -> None:
        assert decoded_value(10**5000) == AnyValue()
        assert counts() == {"export.value": 1}

    def test_a_set_is_an_array(self) -> None:
        assert [item.string_value for item in decoded_value({"a"}).array_value.values] == ["a"]

    def test_a_value_of_another_type_is_its_text(self) -> None:
        assert decoded_value(1 + 2j).string_value == "(1+2j)"

    def test_a_value_without_text_is_an_empty_value(self) -> None:
        assert decoded_value(Untellable()) == AnyValue()
        assert counts() == {"export.value": 1}

    def test_what_contains_itself_ends_as_text(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        written = decoded_value(loop)
        for _ in range(24):
            written = written.array_value.values[0]
        assert written.string_value == "[[...]]"

    def test_what_is_nested_past_the_limits_of_receivers_arrives_with_the_rest(self) -> None:
        deep: Any = "bottom"
        for _ in range(300):
            deep = {"down": deep}
        inside = Event("event", {"key": deep})
        assert [each.name for each in decoded_spans(span(), span("deep", events=[inside]), span())] == [
            *("good", "deep", "good")
        ]

    def test_an_attribute_whose_key_is_no_text_is_left_out_alone(self) -> None:
        (written,) = decoded_spans(span(attributes={"first": 1, 2: "two", b"3": 3, "last": 4}))
        assert [attribute.key for attribute in written.attributes] == ["first", "last"]
        assert counts() == {"export.attribute": 2}

    def test_a_key_that_is_no_text_does_not_spoil_the_next(self) -> None:
        bad = span(attributes={2: "two"})
        assert [list(each.attributes) for each in decoded_spans(bad, bad)] == [[], []]


class TestText:
    """UTF-8 has no form for a lone surrogate, as `os.fsdecode` makes them; U+FFFD stands for it."""

    def test_no_place_of_a_span_loses_the_span(self) -> None:
        bad = "a\udcffb"
        (written,) = decoded_spans(span(bad, attributes={bad: bad}, events=[Event(bad)]))
        (attribute,) = written.attributes
        assert {written.name, attribute.key, attribute.value.string_value, written.events[0].name} == {"a\ufffdb"}
        assert set(counts()) == {"export.text"}

    def test_two_that_make_a_pair_are_the_character(self) -> None:
        assert decoded_value("\ud83d\ude00").string_value == "😀"

    def test_the_body_of_a_log_record_arrives(self) -> None:
        (written,) = decoded_logs(log_record(body="\udcff"))
        assert written.body.string_value == "\ufffd"


class TestBadRecord:
    """One bad record is left out, counted and reported; the others arrive, where the SDK loses all of them."""

    @pytest.mark.parametrize(
        "bad",
        [
            span(12),
            span(start_time=-1),
            span(end_time=2**64),
            span(kind="server"),
            span(links=["none"]),
            ReadableSpan("no context", resource=Resource.get_empty()),
            ReadableSpan("large id", SpanContext(2**128, 1, is_remote=False), resource=Resource.get_empty()),
        ],
        ids=lambda each: each.name,
    )
    def test_a_span(self, bad: ReadableSpan) -> None:
        with pytest.raises((TypeError, ValueError, KeyError, AttributeError, OverflowError)):
            sdk_spans([bad])
        assert [each.name for each in decoded_spans(span("first"), bad, span("last"))] == ["first", "last"]
        assert counts() == {"export.encoding": 1}

    def test_a_log_record(self) -> None:
        bad = log_record(timestamp=-1)
        with pytest.raises(ValueError, match="out of range"):
            sdk_logs([bad])
        good = log_record(body="good")
        assert [each.body.string_value for each in decoded_logs(good, bad, good)] == ["good", "good"]
        assert counts() == {"export.encoding": 1}

    def test_a_log_record_whose_body_has_another_type_arrives_with_its_text(self) -> None:
        bad: Any = log_record(body=1 + 2j)
        with pytest.raises(Exception, match="Invalid type"):
            sdk_logs([bad])
        (written,) = decoded_logs(bad)
        assert written.body.string_value == "(1+2j)"

    def test_a_log_record_whose_ids_were_taken_away_arrives_without(self) -> None:
        record = log_record(body="body")
        record.log_record.trace_id = record.log_record.span_id = record.log_record.trace_flags = None
        (written,) = decoded_logs(record)
        assert (written.trace_id, written.span_id, written.flags) == (b"", b"", 0)

    def test_a_data_point(self) -> None:
        data = metrics(gauge(1, 2**63, 3))
        with pytest.raises(Exception, match="out of range"):
            sdk_metrics(MetricsData([data]))
        (written,) = decoded_metrics(data)
        assert [point.as_int for point in written.gauge.data_points] == [1, 3]
        assert counts() == {"export.encoding": 1}

    def test_a_metric(self) -> None:
        assert [each.name for each in decoded_metrics(metrics(gauge(1), gauge(1, name=2), gauge(1)))] == ["gauge"] * 2
        assert counts() == {"export.encoding": 1}

    def test_a_caller_may_count_for_itself(self) -> None:
        refused: list[int] = []

        def count(_: Exception, items: int) -> None:
            refused.append(items)

        encode_spans([span(), span(12)], count)
        encode_logs([log_record(timestamp=-1)], count)
        encode_metrics(MetricsData([metrics(gauge(2**63), gauge(1, 2, 3, name=4))]), count)
        assert refused == [1, 1, 1, 3]
        assert counts() == {}


class TestGroups:
    """Records are together when what is written of their resource and scope is the same."""

    def test_equal_resources_and_scopes_are_one_group_in_the_order_of_the_records(self) -> None:
        spans = [
            ReadableSpan(
                str(n), CONTEXT, resource=Resource({"a": 1}), instrumentation_scope=InstrumentationScope("same")
            )
            for n in range(4)
        ]
        assert encode_spans(spans) == sdk_spans(spans).SerializeToString()

    def test_one_and_true_are_not_the_same(self) -> None:
        scopes = [InstrumentationScope("same", attributes={"n": value}) for value in (1, True)]
        spans = [
            ReadableSpan("s", CONTEXT, resource=Resource.get_empty(), instrumentation_scope=each) for each in scopes
        ]
        (resource,) = ExportTraceServiceRequest.FromString(encode_spans(spans)).resource_spans
        written = [each.scope.attributes[0].value for each in resource.scope_spans]
        assert written == [AnyValue(int_value=1), AnyValue(bool_value=True)]

    def test_metrics_of_equal_resources_are_all_there(self) -> None:
        assert [each.name for each in decoded_metrics(metrics(gauge(1, name="a")), metrics(gauge(1, name="b")))] == [
            *("a", "b")
        ]
