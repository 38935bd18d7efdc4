"""A redacted value is clear in the process and in none of its signals; a hash is the same in all of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import otelctx
from otelctx import Field
from otelctx.core.redaction import MASK, keys, use_keys
from otelctx.signals import log_records, metrics
from otelctx.signals.formatters import ConsoleFormatter, JsonFormatter
from otelctx.signals.metrics import FieldHistogram
from otelctx.signals.otlp_logs import FieldLogRecordProcessor
from otelctx.signals.spans import FieldSpanProcessor

CLEAR = "alice@example.org"


class Process:
    """All signals of a process, as they leave it."""

    def __init__(self) -> None:
        self._spans, self._logs = InMemorySpanExporter(), InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(FieldSpanProcessor())
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracer = tracers.get_tracer("tests")
        loggers = LoggerProvider(shutdown_on_exit=False)
        loggers.add_log_record_processor(FieldLogRecordProcessor())
        loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.records: list[logging.LogRecord] = []
        kept = logging.Handler()
        kept.emit = self.records.append  # type: ignore[method-assign]
        self.logger = logging.getLogger("tests.redaction")
        self.logger.setLevel(logging.INFO)
        self.logger.handlers = [LoggingHandler(logger_provider=loggers), kept]
        self._metrics = InMemoryMetricReader()
        meters = MeterProvider([self._metrics], shutdown_on_exit=False)
        self.histogram = FieldHistogram(meters.get_meter("tests").create_histogram("duration"), {})

    def serve(self, value: object) -> None:
        """Do all that a request does with a value."""
        with otelctx.request(), self.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
            otelctx.set(who=value)
            with self.tracer.start_as_current_span("inner"):
                otelctx.set(step=1, who=value)
                self.logger.info("in the request")
            with otelctx.bind(who=value), self.tracer.start_as_current_span("bound"):
                self.logger.info("bound")
            self.histogram.record(1)
            assert otelctx.get("who") == otelctx.current()["who"] == value

    @property
    def spans(self) -> list[dict[str, Any]]:
        """The attributes of all spans and of their events."""
        spans = self._spans.get_finished_spans()
        return [dict(some.attributes or {}) for span in spans for some in (span, *span.events)]

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [dict(data.log_record.attributes or {}) for data in self._logs.get_finished_logs()]

    @property
    def points(self) -> list[dict[str, Any]]:
        data = self._metrics.get_metrics_data()
        scopes = [scope for one in (data.resource_metrics if data else ()) for scope in one.scope_metrics]
        points = [point for scope in scopes for metric in scope.metrics for point in metric.data.data_points]
        return [dict(point.attributes or {}) for point in points]

    @property
    def lines(self) -> str:
        """What formatters make of the records, one after the other."""
        formatters = [JsonFormatter(), ConsoleFormatter(), logging.Formatter("%(who)s")]
        return "\n".join(formatter.format(record) for record in self.records for formatter in formatters)

    def everything(self) -> str:
        return repr([self.spans, self.logs, self.points, self.lines, [record.__dict__ for record in self.records]])


@pytest.fixture
def process() -> Iterator[Process]:
    metrics._seen.clear()
    use_keys([b"k" * 32])
    log_records.PATCH.install()
    process = Process()
    yield process
    process.logger.handlers = []
    log_records.PATCH.uninstall()
    metrics._seen.clear()


def declare(redact: Any) -> None:
    otelctx.declare(Field("who", remote=True, metric=True, attribute="user.who", redact=redact))


def values(attributes: list[dict[str, Any]]) -> set[object]:
    return {one["user.who"] for one in attributes if "user.who" in one}


class TestEverySink:
    def test_without_redaction_the_value_is_in_all_of_them(self, process: Process) -> None:
        declare(None)
        process.serve(CLEAR)
        assert values(process.spans) == values(process.logs) == values(process.points) == {CLEAR}
        assert CLEAR in process.lines

    @pytest.mark.parametrize("action", ["drop", "mask", "hash"])
    def test_with_it_the_value_is_in_none(self, process: Process, action: str) -> None:
        declare(action)
        process.serve(CLEAR)
        shown = {"drop": set(), "mask": {MASK}, "hash": {keys()[0].hash("who", CLEAR)}}[action]
        assert values(process.spans) == values(process.logs) == values(process.points) == shown
        assert CLEAR not in process.everything()
        assert all(str(one) in process.lines for one in shown)

    def test_each_sink_can_have_something_else(self, process: Process) -> None:
        declare({"logs": "hash", "spans": "mask", "metrics": "drop"})
        process.serve(CLEAR)
        assert values(process.logs) == {keys()[0].hash("who", CLEAR)}
        assert values(process.spans) == {MASK}
        assert values(process.points) == set()
        assert CLEAR not in process.everything()

    def test_a_value_that_is_taken_away_is_told_by_the_name_of_its_attribute(self, process: Process) -> None:
        declare("hash")
        with otelctx.request(who=CLEAR), process.tracer.start_as_current_span("server", kind=SpanKind.SERVER):
            otelctx.set(who=None)
        assert {"otelctx.fields": ("user.who",)} in process.spans

    def test_a_number_is_hashed_to_text(self, process: Process) -> None:
        otelctx.declare(Field("who", type=int, attribute="user.who", redact="hash"))
        process.serve(4111111111111111)
        assert values(process.spans) == values(process.logs) == {keys()[0].hash("who", "4111111111111111")}
        assert "4111111111111111" not in process.everything()

    def test_a_line_that_is_written_later_and_elsewhere_has_no_more(self, process: Process) -> None:
        declare("hash")
        with otelctx.request(who=CLEAR):
            record = process.logger.makeRecord("tests", logging.INFO, "", 0, "queued", (), None)
        with otelctx.request(who="bob"):
            process.logger.handle(record)
        assert values(process.logs) == {keys()[0].hash("who", CLEAR)}
        assert CLEAR not in process.everything()


class TestInTheProcess:
    def test_everything_is_clear(self, process: Process) -> None:
        declare("hash")
        with otelctx.request(who=CLEAR):
            assert otelctx.get("who") == CLEAR
            assert baggage.get_all()["who"] == baggage.get_baggage("who") == CLEAR


class TestExceptionsAndReports:
    def test_none_tells_a_value(self, process: Process, caplog: pytest.LogCaptureFixture) -> None:
        otelctx.declare(
            Field("who", redact="hash", max_length=3, validate=lambda value: value.count("")),  # type: ignore[union-attr]
            Field("age", type=int, redact="mask", required=True, validate=lambda _: 1 // 0),
            strict=True,
        )
        for wrong in ({"who": CLEAR}, {"age": CLEAR}, {"age": 5}):
            with otelctx.request(**wrong):
                assert otelctx.get(*wrong) is None
        with pytest.raises(otelctx.UnknownFieldError) as raised, otelctx.request(whom=CLEAR):
            pass
        assert CLEAR not in caplog.text + str(raised.value)
        assert "A value for field 'who' was refused" in caplog.text


def test_json_lines_are_still_json(process: Process) -> None:
    declare("hash")
    process.serve(CLEAR)
    line = JsonFormatter().format(process.records[0])
    assert json.loads(line)["who"] == keys()[0].hash("who", CLEAR)
