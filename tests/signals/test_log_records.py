"""Fields and trace ids on stdlib log records, whoever makes, copies, pickles or writes them."""

from __future__ import annotations

import copy
import logging
import logging.handlers
import pickle
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.trace import Tracer, format_span_id, format_trace_id
from werkzeug.local import LocalProxy

import otelctx
from otelctx import Field
from otelctx.signals import log_records

Factory = Callable[..., logging.LogRecord]


@pytest.fixture
def factory() -> Iterator[Factory]:
    """The factory of before, put back in the end."""
    before = logging.getLogRecordFactory()
    yield before
    log_records.PATCH.uninstall()
    logging.setLogRecordFactory(before)


@pytest.fixture
def logger(factory: Factory) -> Iterator[tuple[logging.Logger, list[logging.LogRecord]]]:
    log_records.PATCH.install()
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.getLogger("a third party")
    logger.setLevel(logging.INFO)
    logger.handlers = [Kept()]
    yield logger, records
    logger.handlers = []
    log_records.PATCH.uninstall()


Logged = tuple[logging.Logger, list[logging.LogRecord]]


class TestRecord:
    def test_it_has_the_fields_with_and_without_a_span(self, logger: Logged, tracer: Tracer) -> None:
        log, records = logger
        with otelctx.request(request_id="r", user_id="alice", step="one"):
            log.info("without")
            with tracer.start_as_current_span("span") as span:
                log.info("with")
        context = span.get_span_context()
        for record in records:
            assert (record.request_id, record.user_id, record.step) == ("r", "alice", "one")  # type: ignore[attr-defined]
        assert records[0].trace_id is None  # type: ignore[attr-defined]
        assert records[1].trace_id == format_trace_id(context.trace_id)  # type: ignore[attr-defined]
        assert records[1].span_id == format_span_id(context.span_id)  # type: ignore[attr-defined]
        assert records[1].trace_flags == f"{context.trace_flags:02x}"  # type: ignore[attr-defined]

    def test_a_format_string_may_name_declared_fields_anywhere(self, logger: Logged) -> None:
        log, records = logger
        log.info("outside")
        formatter = logging.Formatter("%(message)s %(request_id)s %(user_id)s %(trace_id)s")
        assert formatter.format(records[0]) == "outside None None None"

    def test_a_field_hidden_from_logs_is_not_there(self, logger: Logged) -> None:
        otelctx.declare(Field("card", log=False))
        log, records = logger
        with otelctx.request(card="4111"):
            log.info("paid")
        assert not hasattr(records[0], "card")

    @pytest.mark.parametrize("name", ["user_id", "request_id", "trace_id", "step"])
    def test_an_extra_of_the_caller_wins_and_never_raises(self, logger: Logged, name: str) -> None:
        log, records = logger
        with otelctx.request(user_id="alice", step="one"):
            log.info("explicit", extra={name: "theirs"})
        assert getattr(records[0], name) == "theirs"

    @pytest.mark.parametrize("name", ["message", "name", "args"])
    def test_what_python_refuses_in_extra_is_refused_as_before(self, logger: Logged, name: str) -> None:
        with pytest.raises(KeyError, match="Attempt to overwrite"):
            logger[0].info("x", extra={name: "theirs"})

    def test_a_field_never_replaces_what_a_record_has(self, logger: Logged) -> None:
        log, records = logger
        with otelctx.request(name="of the field", lineno=-1, args="of the field", msg="of the field"):
            log.info("of the %s", "record")
        assert (records[0].name, records[0].getMessage()) == ("a third party", "of the record")
        assert records[0].lineno > 0


class TestCopies:
    """A record outlives the place where it was made."""

    @pytest.mark.parametrize(
        "copied", [copy.copy, copy.deepcopy, lambda record: pickle.loads(pickle.dumps(record))], ids=range(3)
    )
    def test_they_carry_the_same(self, logger: Logged, copied: Callable[[Any], Any]) -> None:
        log, records = logger
        with otelctx.request(request_id="r", user_id="alice"):
            log.info("x")
        with otelctx.request(request_id="another", user_id="bob"):
            duplicate = copied(records[0])
        assert (duplicate.request_id, duplicate.user_id) == ("r", "alice")
        assert type(pickle.loads(pickle.dumps(vars(duplicate)))) is dict

    def test_a_queue_and_its_listener_keep_them(self, factory: Factory) -> None:
        log_records.PATCH.install()
        queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
        written: list[Any] = []

        class Kept(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                written.append(record)

        log = logging.getLogger("queued")
        log.setLevel(logging.INFO)
        log.handlers = [logging.handlers.QueueHandler(queue)]
        listener = logging.handlers.QueueListener(queue, Kept())
        listener.start()
        with otelctx.request(user_id="alice"):
            log.info("x %s", 1)
        listener.stop()
        log.handlers = []
        assert (written[0].user_id, written[0].getMessage()) == ("alice", "x 1")


class TestOtherFactories:
    """Whoever else makes records, before us or after us."""

    @staticmethod
    def marking(inner: Factory) -> Factory:
        def make(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = inner(*args, **kwargs)
            record.theirs = "theirs"
            record.user_id = "theirs"
            return record

        return make

    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_both_work_in_either_order_and_theirs_wins(self, factory: Factory, first: str) -> None:
        if first == "ours":
            log_records.PATCH.install()
        logging.setLogRecordFactory(self.marking(logging.getLogRecordFactory()))
        if first == "theirs":
            log_records.PATCH.install()
        with otelctx.request(request_id="r", user_id="alice"):
            record: Any = logging.getLogger("x").makeRecord("x", 20, "", 0, "", (), None, extra={"request_id": "extra"})
        assert (record.theirs, record.user_id, record.request_id) == ("theirs", "theirs", "extra")

    @pytest.mark.parametrize("first", ["ours", "theirs"])
    def test_opentelemetrys_works_in_either_order(self, factory: Factory, tracer: Tracer, first: str) -> None:
        instrumentor = LoggingInstrumentor()
        if first == "ours":
            log_records.PATCH.install()
        # It would also set a format, if the root logger had no handler; under pytest it has.
        instrumentor.instrument(set_logging_format=True, enable_log_auto_instrumentation=False)
        try:
            if first == "theirs":
                log_records.PATCH.install()
            with otelctx.request(request_id="r"), tracer.start_as_current_span("x") as span:
                record: Any = logging.getLogger("x").makeRecord("x", 20, "", 0, "", (), None)
            assert record.otelTraceID == record.trace_id == format_trace_id(span.get_span_context().trace_id)
            assert record.request_id == "r"
        finally:
            instrumentor.uninstrument()

    def test_a_record_that_was_made_elsewhere_stays_as_it_is(self, factory: Factory) -> None:
        log_records.PATCH.install()
        with otelctx.request(request_id="here"):
            record: Any = logging.makeLogRecord({"msg": "x", "request_id": "there"})
        assert (record.request_id, hasattr(record, "trace_id")) == ("there", False)

    def test_uninstalling_puts_the_very_same_function_back(self) -> None:
        before = logging.Logger.makeRecord
        log_records.PATCH.install()
        log_records.PATCH.install()
        assert logging.Logger.makeRecord is not before
        log_records.PATCH.uninstall()
        assert logging.Logger.makeRecord is before


class TestStampsAreMadeOnce:
    """What is kept between two records is never a stale value."""

    def test_a_value_that_is_set_between_two_is_on_the_second(self, logger: Logged) -> None:
        log, records = logger
        with otelctx.request(request_id="r", user_id="alice"):
            log.info("one")
            otelctx.set(user_id="bob")
            log.info("two")
        assert [record.user_id for record in records] == ["alice", "bob"]  # type: ignore[attr-defined]

    def test_so_is_another_span(self, logger: Logged, tracer: Tracer) -> None:
        log, records = logger
        with otelctx.request(request_id="r"):
            spans = []
            for _ in range(2):
                with tracer.start_as_current_span("x") as span:
                    spans.append(format_span_id(span.get_span_context().span_id))
                    log.info("in it")
        assert [record.span_id for record in records] == spans  # type: ignore[attr-defined]

    def test_so_is_a_field_that_is_declared_between_two(self, logger: Logged) -> None:
        log, records = logger
        with otelctx.request(card="4111"):
            log.info("one")
            otelctx.declare(Field("card", log=False))
            log.info("two")
        assert [getattr(record, "card", None) for record in records] == ["4111", None]

    def test_what_a_handler_does_with_a_record_is_not_seen_by_the_next(self, logger: Logged) -> None:
        log, records = logger
        with otelctx.request(user_id="alice"):
            log.info("one")
            records[0].user_id = "changed"
            log.info("two")
        assert records[1].user_id == "alice"  # type: ignore[attr-defined]


class TestHostileValues:
    """What somebody sets may be any object."""

    def test_what_pretends_to_be_a_text_breaks_no_logging(self, logger: Logged, tracer: Tracer) -> None:
        with otelctx.request(user_id="alice"), tracer.start_as_current_span("s"):
            otelctx.set(thing=LocalProxy(lambda: "text"))
            logger[0].warning("x")
        (record,) = logger[1]
        assert (record.user_id, hasattr(record, "thing")) == ("alice", False)


class TestAnHonestRecord:
    def test_a_filter_that_fills_in_what_is_missing_finds_the_field(self, logger) -> None:
        log, records = logger

        def default(record: logging.LogRecord) -> bool:
            if "request_id" not in record.__dict__:
                record.request_id = "-"
            return True

        log.addFilter(default)
        with otelctx.request(request_id="r"):
            log.info("m")
        log.removeFilter(default)
        assert records[-1].request_id == "r"

    def test_a_field_named_like_something_of_the_record_does_not_hide_it(self, logger) -> None:
        log, records = logger
        otelctx.declare(Field("getMessage"))
        with otelctx.request(getMessage="x", name="y"):
            log.info("m")
        assert (records[-1].getMessage(), records[-1].name) == ("m", log.name)


class TestOthersOnTheClasses:
    """What other libraries put into a record by way of logging's classes."""

    def test_what_another_maker_has_put_in_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original: Any = logging.Logger.makeRecord

        def theirs(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = original(*args, **kwargs)
            record.trace_id = "theirs"
            return record  # type: ignore[no-any-return]

        monkeypatch.setattr(logging.Logger, "makeRecord", theirs)

        assert self.made().trace_id == "theirs"

    def test_what_another_constructor_has_put_in_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original: Any = logging.LogRecord.__init__

        def theirs(self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            self.trace_id = "theirs"

        monkeypatch.setattr(logging.LogRecord, "__init__", theirs)
        assert self.made().trace_id == "theirs"

        monkeypatch.undo()
        log_records.PATCH.install()
        try:
            monkeypatch.setattr(logging.LogRecord, "__init__", theirs)
            assert self.made().trace_id == "theirs"
        finally:
            log_records.PATCH.uninstall()

    def test_a_property_stands_before_a_stamp(self, monkeypatch: pytest.MonkeyPatch) -> None:
        log_records.PATCH.install()
        try:
            monkeypatch.setattr(logging.LogRecord, "trace_id", property(lambda _: "theirs"), raising=False)
            record = self.made()
        finally:
            log_records.PATCH.uninstall()

        assert record.trace_id == "theirs"
        assert vars(record)["trace_id"] is None

    @staticmethod
    def made() -> Any:
        """A record, by Logger.makeRecord with the stamps around it."""
        log_records.PATCH.install()
        try:
            return logging.getLogger("x").makeRecord("x", 20, "", 0, "", (), None)
        finally:
            log_records.PATCH.uninstall()
