"""Fields on OTLP log records, under the attribute names that spans have."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import Tracer

import otelctx
from otelctx import Field
from otelctx.signals import log_records
from otelctx.signals.otlp_logs import FieldLogRecordProcessor


class Exported:
    """A logger provider, and the attributes of what it was given."""

    def __init__(self) -> None:
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(FieldLogRecordProcessor())
        self._exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))
        self.logger = logging.getLogger("tests.exported")
        self.logger.setLevel(logging.INFO)
        self.logger.handlers = [LoggingHandler(logger_provider=self.provider)]

    @property
    def last(self) -> Any:
        return self._exporter.get_finished_logs()[-1].log_record

    @property
    def all(self) -> list[dict[str, Any]]:
        return [dict(data.log_record.attributes) for data in self._exporter.get_finished_logs()]

    @property
    def attributes(self) -> dict[str, Any]:
        return dict(self.last.attributes)


@pytest.fixture
def exported() -> Iterator[Exported]:
    log_records.PATCH.install()
    exported = Exported()
    yield exported
    exported.logger.handlers = []
    log_records.PATCH.uninstall()


class TestStdlib:
    def test_stamps_become_attributes_and_empty_ones_go(self, exported: Exported) -> None:
        with otelctx.request(request_id="r", tier=3), otelctx.bind(step="one"):
            exported.logger.info("x")
        assert exported.attributes == {"request_id": "r", "tier": 3, "step": "one", "otelctx.fields": ("step",)}

    def test_an_extra_wins_under_either_name(self, exported: Exported) -> None:
        with otelctx.request(request_id="r", user_id="alice"):
            exported.logger.info("x", extra={"user_id": "by field name"})
            assert exported.attributes["user.id"] == "by field name"
            exported.logger.info("x", extra={"user.id": "by attribute name"})
            assert exported.attributes["user.id"] == "by attribute name"

    def test_ids_of_the_trace_are_in_their_place_and_no_attributes(self, exported: Exported, tracer: Tracer) -> None:
        with tracer.start_as_current_span("x") as span:
            exported.logger.info("x")
        context = span.get_span_context()
        assert (exported.last.trace_id, exported.last.span_id) == (context.trace_id, context.span_id)
        assert exported.attributes == {}

    def test_a_record_made_elsewhere_keeps_its_trace_and_request(self, exported: Exported, tracer: Tracer) -> None:
        with otelctx.request(request_id="r"), tracer.start_as_current_span("x") as span:
            record = exported.logger.makeRecord("tests", logging.INFO, "", 0, "x", (), None)
        exported.logger.handle(record)
        assert exported.last.trace_id == span.get_span_context().trace_id
        assert exported.attributes == {"request_id": "r"}

    def test_an_extra_called_trace_id_that_is_none_does_not_break_it(self, exported: Exported) -> None:
        given = {"trace_id": "not hex", "span_id": 7, "trace_flags": "?"}
        exported.logger.info("x", extra=given)
        assert (exported.last.body, exported.attributes) == ("x", given)

    def test_a_field_hidden_from_logs_is_not_there(self, exported: Exported) -> None:
        otelctx.declare(Field("card", log=False))
        with otelctx.request(request_id="r", card="4111"):
            exported.logger.info("x")
        assert exported.attributes == {"request_id": "r"}


class TestApi:
    def test_a_record_emitted_with_the_api_gets_the_fields_of_its_place(self, exported: Exported) -> None:
        with otelctx.request(request_id="r", user_id="alice"):
            exported.provider.get_logger("x").emit(LogRecord(body="x", severity_number=SeverityNumber.INFO))
        assert exported.attributes == {"request_id": "r", "user.id": "alice"}

    def test_or_those_of_the_context_it_was_given(self, exported: Exported) -> None:
        context = otelctx.extract({"x-request-id": "theirs"})
        with otelctx.request(request_id="ours"):
            exported.provider.get_logger("x").emit(LogRecord(body="x", context=context))
        assert exported.attributes == {"request_id": "theirs"}


class TestRecordsEmittedElsewhere:
    def test_a_record_of_no_request_gets_nothing_of_the_request_that_flushes_it(self, exported: Exported) -> None:
        log_records.PATCH.install()
        (target,) = exported.logger.handlers
        exported.logger.handlers = [logging.handlers.MemoryHandler(2, target=target)]
        exported.logger.info("outside")
        with otelctx.request(user_id="alice"), otelctx.bind(step="one"):
            exported.logger.info("inside")
        outside, inside = exported.all
        assert outside == {}
        assert inside["user.id"] == "alice"

    def test_a_record_of_one_request_gets_nothing_of_another(self, exported: Exported) -> None:
        log_records.PATCH.install()
        (target,) = exported.logger.handlers
        exported.logger.handlers = [logging.handlers.MemoryHandler(2, target=target)]
        with otelctx.request(request_id="anonymous"):
            exported.logger.info("first")
        with otelctx.request(request_id="alices", user_id="alice", tier=1):
            exported.logger.info("second")
        assert exported.all[0] == {"request_id": "anonymous"}
