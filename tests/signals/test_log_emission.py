"""Log records by the faster way, beside OpenTelemetry's handler: what processors see is the same."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, NoOpLoggerProvider
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context, attach, detach
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

import otelctx
from otelctx import Field
from otelctx.signals import log_records, otlp_logs, shortcuts
from otelctx.signals.otlp_logs import FieldLogRecordProcessor

ORIGINAL = LoggingHandler.emit


@contextmanager
def fast() -> Iterator[bool]:
    """Emit by the faster way, and tell whether there is one: another OpenTelemetry emits by itself."""
    log_records.PATCH.install()
    shortcuts.install()
    try:
        yield LoggingHandler.emit is not ORIGINAL
    finally:
        shortcuts.uninstall()
        log_records.PATCH.uninstall()


with fast() as is_fast:
    with_ours = pytest.mark.skipif(not is_fast, reason="this OpenTelemetry emits by itself")


class Seeing(LogRecordProcessor):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.seen: list[ReadWriteLogRecord] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.seen.append(log_record)

    def shutdown(self) -> None:
        self.seen.clear()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class Slowly(FieldLogRecordProcessor):
    """Looks at each stamp, as if no record were stamped where it is emitted."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        attributes: Any = log_record.log_record.attributes
        otlp_logs._complete(log_record.log_record, attributes)


class Pipeline:
    """A handler, and what comes out behind it."""

    def __init__(self, fields: FieldLogRecordProcessor | None = None, **options: Any) -> None:
        self.provider = LoggerProvider(shutdown_on_exit=False)
        if fields is not None:
            self.provider.add_log_record_processor(fields)
        self.processor = Seeing()
        self.provider.add_log_record_processor(self.processor)
        self.handler = LoggingHandler(logger_provider=self.provider, **options)

    @property
    def seen(self) -> list[Any]:
        return [shown(record) for record in self.processor.seen]


def shown(record: ReadWriteLogRecord) -> dict[str, Any]:
    """All there is to see of *record*, but for when it was observed."""
    inside = dict(vars(record.log_record))
    del inside["observed_timestamp"]
    attributes = inside.pop("attributes")
    return {
        **inside,
        "attributes": sorted((repr(name), repr(value)) for name, value in attributes.items()),
        "kind": type(attributes),
        "limits": (attributes.maxlen, attributes.max_value_len, attributes.dropped, attributes._immutable),
        "around": (record.resource.attributes, record.instrumentation_scope, vars(record.limits)),
        "flags": type(inside["trace_flags"]),
    }


EXTRAS = st.dictionaries(
    st.sampled_from(
        [
            *("order", "user_id", "user.id", "trace_id", "span_id", "event.name", "otel.event.name", "", "plan"),
            *("request_id", "otelctx.fields", 7),
        ]
    ),
    st.sampled_from(["text", "0" * 32, "r-1", None, 1, True, 1.5, [1, "a"], {"a": 1}, b"raw", object]),
    max_size=4,
)
RECORDS = st.builds(
    lambda name, level, message, extra, failed: (name, level, message, extra, failed),
    st.sampled_from(["shop", "shop.orders"]),
    st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL, 17, 0]),
    st.sampled_from([("hello", ()), ("%s and %d", ("one", 2)), ({"a": "mapping"}, ()), (7, ())]),
    EXTRAS,
    st.booleans(),
)
PLACES = st.fixed_dictionaries(
    {
        "request": st.sampled_from([None, {}, {"request_id": "r-1"}, {"user_id": "alice", "plan": "gold"}]),
        "bound": st.sampled_from([{}, {"step": "one"}, {"user_id": "bob"}]),
        "span": st.sampled_from([None, 0, 1]),
    }
)


@contextmanager
def place(request: dict[str, Any] | None, bound: dict[str, Any], span: int | None) -> Iterator[None]:
    with ExitStack() as inside:
        if request is not None:
            inside.enter_context(otelctx.request(**request))
        if bound:
            inside.enter_context(otelctx.bind(**bound))
        if span is not None:
            context = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(span))
            inside.enter_context(use_span(NonRecordingSpan(context)))
        yield


def made(name: str, level: int, message: Any, extra: dict[Any, Any], failed: bool) -> logging.LogRecord:
    error = ValueError("out of stock")
    failure = (ValueError, error, None) if failed else None
    return logging.getLogger(name).makeRecord(name, level, "shop.py", 7, *message, failure, extra=extra)


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestAgainstTheHandler:
    """The same record, emitted by OpenTelemetry's handler and by ours, is the same to processors."""

    @given(st.lists(RECORDS, min_size=1, max_size=3), PLACES, st.booleans())
    def test_whatever_is_logged(self, records: list[Any], where: dict[str, Any], fields: bool) -> None:
        plain, ours = Pipeline(Slowly() if fields else None), Pipeline(FieldLogRecordProcessor() if fields else None)
        token = attach(Context())
        try:
            otelctx.declare(Field("plan", attribute="app.plan"), Field("step"))
            with fast(), place(**where):
                for record in (made(*one) for one in records):
                    ORIGINAL(plain.handler, record)
                    ours.handler.emit(record)
        finally:
            detach(token)
        assert ours.seen == plain.seen

    @pytest.mark.parametrize(
        "options", [{"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT": "2"}, {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"}]
    )
    def test_limits_are_kept(self, monkeypatch: pytest.MonkeyPatch, options: dict[str, str]) -> None:
        for name, value in options.items():
            monkeypatch.setenv(name, value)
        plain, ours = Pipeline(Slowly()), Pipeline(FieldLogRecordProcessor())
        with fast(), otelctx.request(request_id="r-1", user_id="alice"):
            for extra in ({}, {"order": "12345", "plan": "gold", "step": "one"}):
                record = made("shop", logging.INFO, ("hello", ()), extra, False)
                ORIGINAL(plain.handler, record)
                ours.handler.emit(record)
        assert ours.seen == plain.seen

    def test_a_formatter_makes_the_body(self) -> None:
        pipeline = Pipeline(FieldLogRecordProcessor())
        pipeline.handler.setFormatter(logging.Formatter("<%(message)s>"))
        with fast():
            pipeline.handler.emit(made("shop", logging.INFO, ("hello", ()), {}, False))
        assert pipeline.processor.seen[0].log_record.body == "<hello>"

    def test_attributes_of_the_code_are_the_handlers(self) -> None:
        plain, ours = (Pipeline(FieldLogRecordProcessor(), log_code_attributes=True) for _ in range(2))
        with fast():
            record = made("shop", logging.INFO, ("hello", ()), {}, False)
            ORIGINAL(plain.handler, record)
            ours.handler.emit(record)
        assert ours.seen == plain.seen
        assert ours.processor.seen[0].log_record.attributes["code.line.number"] == 7  # type: ignore[index]


@with_ours
class TestEmission:
    def test_the_record_is_the_sdks_own(self) -> None:
        pipeline = Pipeline(FieldLogRecordProcessor())
        with fast():
            pipeline.handler.emit(made("shop", logging.INFO, ("hello", ()), {}, False))
        (seen,) = pipeline.processor.seen
        assert type(seen) is ReadWriteLogRecord
        assert isinstance(seen.log_record, LogRecord)
        assert type(seen.log_record.attributes) is BoundedAttributes

    def test_a_copy_is_another_record(self) -> None:
        pipeline = Pipeline()
        with fast():
            pipeline.handler.emit(made("shop", logging.INFO, ("hello", ()), {}, False))
        record = pipeline.processor.seen[0].log_record
        copied = copy.copy(record)
        copied.body = "another"
        assert (record.body, vars(copied)) == ("hello", {**vars(record), "body": "another"})

    def test_a_batch_processor_lets_the_request_go(self) -> None:
        exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        handler = LoggingHandler(logger_provider=provider)
        with fast(), otelctx.request(request_id="r-1"):
            handler.emit(made("shop", logging.INFO, ("hello", ()), {}, False))
        provider.force_flush()
        (exported,) = exporter.get_finished_logs()
        assert exported.log_record.context == Context()
        assert exported.log_record.body == "hello"
        provider.shutdown()

    def test_what_a_processor_logs_is_not_emitted(self) -> None:
        pipeline = Pipeline()

        class Logging(Seeing):
            def on_emit(self, log_record: ReadWriteLogRecord) -> None:
                super().on_emit(log_record)
                pipeline.handler.emit(made("shop", logging.INFO, ("again", ()), {}, False))

        logging_back = Logging()
        pipeline.provider.add_log_record_processor(logging_back)
        with fast():
            pipeline.handler.emit(made("shop", logging.INFO, ("hello", ()), {}, False))
        assert [record.log_record.body for record in logging_back.seen] == ["hello"]

    def test_a_provider_that_keeps_nothing_is_given_nothing(self) -> None:
        handler = LoggingHandler(logger_provider=NoOpLoggerProvider())
        with fast():
            handler.emit(made("shop", logging.INFO, ("hello", ()), {}, False))
        assert vars(handler)["_otelctx_loggers"] == {}

    def test_a_handler_of_somebody_elses_is_left_alone(self) -> None:
        class Theirs(LoggingHandler):
            """Derived, and so it may do anything."""

        pipeline = Pipeline()
        theirs = Theirs(logger_provider=pipeline.provider)
        with fast():
            theirs.emit(made("shop", logging.INFO, ("hello", ()), {}, False))
        assert len(pipeline.processor.seen) == 1
        assert "_otelctx_loggers" not in vars(theirs)

    def test_loggers_that_are_known_have_a_bound(self) -> None:
        pipeline = Pipeline()
        with fast():
            for number in range(300):
                pipeline.handler.emit(made(f"shop.{number}", logging.INFO, ("hello", ()), {}, False))
        assert len(vars(pipeline.handler)["_otelctx_loggers"]) == 256
        assert {
            record.instrumentation_scope.name for record in pipeline.processor.seen if record.instrumentation_scope
        } == {f"shop.{number}" for number in range(300)}
