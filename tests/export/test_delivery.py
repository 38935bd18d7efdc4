"""From the application to the collector, over real connections, with a collector that fails in every way."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import format_span_id

from otelctx.export import batching, pacing
from otelctx.export.batches import Batch
from otelctx.export.batching import Batcher, BatchSettings
from otelctx.export.counters import COUNTERS
from otelctx.export.encoding import spans_to_batch
from otelctx.export.endpoint import Endpoint
from otelctx.export.exporters import SpoolingLogRecordExporter, SpoolingMetricExporter, SpoolingSpanExporter
from otelctx.export.patience import PATIENCE
from otelctx.export.processors import SpoolingLogRecordProcessor, SpoolingSpanProcessor
from otelctx.export.settings import SpoolSettings
from otelctx.export.store import Store
from tests.export.conftest import LocalCollector, Scripted

Make = Callable[[int], list[ReadableSpan]]
QUICK = BatchSettings(delay_seconds=0.05)


@pytest.fixture
def export(settings: SpoolSettings, request: pytest.FixtureRequest) -> Callable[..., SpoolingSpanExporter]:
    """Make exporters that are shut down with the test."""

    def make(endpoint: Endpoint, **changes: Any) -> SpoolingSpanExporter:
        exporter = SpoolingSpanExporter(replace(settings, shutdown_seconds=0.5, **changes), endpoint)
        request.addfinalizer(exporter.shutdown)
        return exporter

    return make


def ids(spans: list[ReadableSpan]) -> dict[str, int]:
    return {format_span_id(span.context.span_id): 1 for span in spans if span.context}


def names(payload: bytes) -> list[str]:
    request = ExportTraceServiceRequest.FromString(payload)
    return [span.name for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


class TestACollectorThatIsThere:
    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    def test_gets_all_signals(self, collector: LocalCollector, settings: SpoolSettings, protocol: str) -> None:
        tracers, loggers = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SpoolingSpanProcessor(SpoolingSpanExporter(settings, collector.endpoint(protocol))))
        loggers.add_log_record_processor(
            SpoolingLogRecordProcessor(SpoolingLogRecordExporter(settings, collector.endpoint(protocol, "logs")))
        )
        metrics = SpoolingMetricExporter(settings, collector.endpoint(protocol, "metrics"))
        meters = MeterProvider([PeriodicExportingMetricReader(metrics)], shutdown_on_exit=False)
        for number in range(20):
            with tracers.get_tracer("tests").start_as_current_span("work"):
                loggers.get_logger("tests").emit(body=f"line {number}")
                meters.get_meter("tests").create_counter("orders").add(1)
        assert all(provider.force_flush() for provider in (tracers, loggers, meters))
        assert (collector.count("spans"), collector.count("logs")) == (20, 20)
        assert collector.count("metrics") >= 1
        for provider in (tracers, loggers, meters):
            provider.shutdown()

    def test_gets_them_from_the_sdks_own_processor_too(
        self, collector: LocalCollector, export: Callable[..., SpoolingSpanExporter]
    ) -> None:
        exporter = export(collector.endpoint())
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        with provider.get_tracer("tests").start_as_current_span("work"):
            pass
        provider.force_flush()
        assert exporter.force_flush()
        assert collector.count("spans") == 1
        provider.shutdown()

    def test_gets_many_small_batches_in_few_requests(
        self, scripted: Scripted, spans: Make, export: Callable[..., SpoolingSpanExporter]
    ) -> None:
        scripted.answers.append((503, {}, b""))
        exporter = export(scripted.endpoint)
        made = spans(60)
        for span in made:
            exporter.export([span])
        assert exporter.force_flush() or exporter.force_flush()
        while COUNTERS.value("delivered", "traces") < 60:
            exporter.force_flush()
        sent = [names(body) for _, body in scripted.received[1:]]
        assert [*itertools.chain(*sent)] == [span.name for span in made]
        assert len(sent) < 10


class TestAnOutage:
    @pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_loses_nothing_and_delivers_each_span_once(
        self,
        collector: LocalCollector,
        export: Callable[..., SpoolingSpanExporter],
        wait_for: Callable[..., Any],
        protocol: str,
        number: signal.Signals,
    ) -> None:
        exporter = export(collector.endpoint(protocol))
        provider = TracerProvider(shutdown_on_exit=False)
        # A small queue: what is lost with the SDK's in an outage is what does not fit into it.
        provider.add_span_processor(SpoolingSpanProcessor(exporter, BatchSettings(0.1, 64, 128)))
        tracer, ended, stop = provider.get_tracer("tests"), [], threading.Event()

        def load() -> None:
            while not stop.wait(1 / 400):
                with tracer.start_as_current_span("work") as span:
                    pass
                ended.append(format_span_id(span.get_span_context().span_id))

        thread = threading.Thread(target=load)
        thread.start()
        wait_for(lambda: collector.count("spans") > 50, what="the first delivery")
        collector.stop(number)
        before = len(ended)
        wait_for(lambda: len(ended) > before + 1500, what="five seconds of load")
        collector.start()
        wait_for(lambda: collector.count("spans") > before + 1500, what="the recovery")
        stop.set()
        thread.join()
        provider.force_flush()
        wait_for(lambda: collector.count("spans") >= len(ended), what="the delivery of the rest")
        delivered = collector.span_ids()
        assert set(delivered) == set(ended)
        # A request whose answer dies with the collector is sent again; that is at most one.
        duplicates = sum(delivered.values()) - len(delivered)
        assert duplicates == 0 or number is signal.SIGKILL
        provider.shutdown()

    def test_what_an_earlier_process_left_is_delivered_by_the_next_one_oldest_first(
        self, scripted: Scripted, spans: Make, settings: SpoolSettings, wait_for: Callable[..., Any]
    ) -> None:
        made = spans(30)
        script = replace(settings, shutdown_seconds=0.2)
        scripted.answers.extend([(503, {"Retry-After": "300"}, b"")])
        first = SpoolingSpanExporter(script, scripted.endpoint)
        for span in made[:20]:
            assert first.export([span]) is SpanExportResult.SUCCESS
        wait_for(lambda: scripted.received)
        first.shutdown()
        second = SpoolingSpanExporter(script, scripted.endpoint)
        assert second.export(made[20:]) is SpanExportResult.SUCCESS
        wait_for(second.spool.is_empty)
        second.shutdown()
        got = [*itertools.chain(*(names(body) for _, body in scripted.received[1:]))]
        assert got == [span.name for span in made]

    def test_what_is_for_one_collector_never_goes_to_another(
        self, scripted: Scripted, closed_port: int, spans: Make, export: Callable[..., SpoolingSpanExporter]
    ) -> None:
        export(Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces")).export(spans(5))
        other = export(scripted.endpoint)
        other.export(spans(1))
        assert other.force_flush()
        assert [len(names(body)) for _, body in scripted.received] == [1]


class TestACollectorThatFails:
    def test_is_left_alone_for_as_long_as_it_asks(
        self, scripted: Scripted, spans: Make, export: Callable[..., SpoolingSpanExporter], wait_for: Callable[..., Any]
    ) -> None:
        scripted.answers.append((429, {"Retry-After": "2"}, b""))
        exporter = export(scripted.endpoint)
        exporter.export(spans(10))
        wait_for(lambda: len(scripted.times) == 2)
        assert scripted.times[1] - scripted.times[0] >= 2

    def test_what_it_rejects_or_refuses_is_dropped_and_counted_and_said_once(
        self,
        scripted: Scripted,
        spans: Make,
        export: Callable[..., SpoolingSpanExporter],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        partly = ExportTraceServiceResponse()
        partly.partial_success.rejected_spans = 4
        partly.partial_success.error_message = "s3cret"
        exporter = export(scripted.endpoint)
        for answer in [(200, {}, partly.SerializeToString()), (401, {}, b"s3cret"), (401, {}, b"s3cret")]:
            scripted.answers.append(answer)
            exporter.export(spans(10))
            exporter.force_flush()
        assert len(scripted.received) == 3
        assert COUNTERS.value("delivered", "traces") == 6
        assert COUNTERS.value("dropped", "traces", "rejected") == 4
        assert COUNTERS.value("dropped", "traces", "refused") == 20
        assert len(caplog.messages) == 2
        assert "s3cret" not in caplog.text

    def test_one_bad_item_takes_no_other_batch_with_it(
        self, scripted: Scripted, spans: Make, export: Callable[..., SpoolingSpanExporter], wait_for: Callable[..., Any]
    ) -> None:
        scripted.answers.extend([(503, {}, b""), (200, {}, b""), (400, {}, b""), (200, {}, b""), (400, {}, b"")])
        exporter = export(scripted.endpoint)
        for span in spans(6):
            exporter.export([span])
        wait_for(lambda: COUNTERS.value("delivered", "traces") == 5)
        assert COUNTERS.value("dropped", "traces", "refused") == 1

    def test_flush_tells_the_truth_about_what_was_dropped(
        self, scripted: Scripted, spans: Make, export: Callable[..., SpoolingSpanExporter]
    ) -> None:
        scripted.answers.append((401, {}, b""))
        exporter = export(scripted.endpoint)
        exporter.export(spans(1))
        assert not exporter.force_flush()
        exporter.export(spans(1))
        assert exporter.force_flush()


class TestBounds:
    def test_of_the_disk_drop_the_oldest_and_count_them(
        self, closed_port: int, spans: Make, export: Callable[..., SpoolingSpanExporter]
    ) -> None:
        exporter = export(Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces"), max_bytes=20_000)
        for _ in range(20):
            assert exporter.export(spans(20)) is SpanExportResult.SUCCESS
        dropped = COUNTERS.value("dropped", "traces", "spool_full")
        assert 0 < dropped < 400
        assert dropped % 20 == 0
        assert not exporter.force_flush()

    def test_of_a_batch_that_is_larger_than_everything(
        self, closed_port: int, spans: Make, export: Callable[..., SpoolingSpanExporter]
    ) -> None:
        exporter = export(Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces"), max_bytes=900, max_memory_bytes=900)
        assert exporter.export(spans(50)) is SpanExportResult.FAILURE
        assert COUNTERS.value("dropped", "traces", "too_large") == 50

    def test_of_age_drop_and_count(
        self, scripted: Scripted, spans: Make, settings: SpoolSettings, wait_for: Callable[..., Any]
    ) -> None:
        scripted.answers.append((503, {"Retry-After": "60"}, b""))
        first = SpoolingSpanExporter(replace(settings, shutdown_seconds=0.0), scripted.endpoint)
        first.export(spans(8))
        wait_for(lambda: scripted.received)
        first.shutdown()
        second = SpoolingSpanExporter(replace(settings, max_age_seconds=0.0), scripted.endpoint)
        wait_for(lambda: COUNTERS.value("dropped", "traces", "expired") == 8)
        second.shutdown()
        assert len(scripted.received) == 1


class TestAProcessThatGetsNoMoreThreads:
    def test_does_not_notice_and_delivers_when_it_gets_one(
        self,
        scripted: Scripted,
        settings: SpoolSettings,
        spans: Make,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        # What the system says when it has none, in the place where Python asks it.
        start = "_start_joinable_thread" if hasattr(threading, "_start_joinable_thread") else "_start_new_thread"
        with monkeypatch.context() as limited:
            limited.setattr(threading, start, _refuse)
            processor = SpoolingSpanProcessor(SpoolingSpanExporter(settings, scripted.endpoint), QUICK)
            for span in spans(3):
                processor.on_end(span)
        assert [message for message in caplog.messages if "gives no thread" in message]
        for span in spans(1):
            processor.on_end(span)
        assert processor.force_flush()
        assert COUNTERS.value("delivered", "traces") == 4
        processor.shutdown()


def _refuse(*_: object, **__: object) -> None:
    message = "can't start new thread"
    raise RuntimeError(message)


class TestPlacesThatCannotBeUsed:
    def refused(self, directory: Path, endpoint: Endpoint, made: list[ReadableSpan]) -> None:
        exporter = SpoolingSpanExporter(SpoolSettings(directory, "shop"), endpoint)
        assert exporter.export(made) is SpanExportResult.FAILURE
        assert exporter.force_flush()
        exporter.shutdown()

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
    def test_a_directory_that_others_may_write_to(
        self, scripted: Scripted, tmp_path: Path, spans: Make, caplog: pytest.LogCaptureFixture, mode: int
    ) -> None:
        (tmp_path / "shop").mkdir()
        (tmp_path / "shop").chmod(mode)
        self.refused(tmp_path, scripted.endpoint, spans(3))
        (said,) = caplog.messages
        assert "other users may write to it; telemetry waits in memory only" in said
        assert [*(tmp_path / "shop").iterdir()] == []

    def test_what_is_missing_of_a_place_is_made_for_this_user_only_whatever_the_umask(
        self, scripted: Scripted, tmp_path: Path, spans: Make
    ) -> None:
        before = os.umask(0)
        try:
            exporter = SpoolingSpanExporter(SpoolSettings(tmp_path / "state" / "spool", "shop"), scripted.endpoint)
        finally:
            os.umask(before)
        assert exporter.export(spans(1)) is SpanExportResult.SUCCESS
        exporter.shutdown()
        made = [tmp_path / "state", tmp_path / "state" / "spool", tmp_path / "state" / "spool" / "shop"]
        assert {stat.S_IMODE(directory.stat().st_mode) for directory in made} == {0o700}

    @pytest.mark.skipif(os.geteuid() != 0, reason="giving a directory away takes root")
    def test_a_directory_of_another_user(
        self, scripted: Scripted, tmp_path: Path, spans: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "shop").mkdir(mode=0o700)
        os.chown(tmp_path / "shop", 12345, 12345)
        self.refused(tmp_path, scripted.endpoint, spans(3))
        assert "it belongs to another user" in caplog.text

    def test_a_link_to_a_directory(
        self, scripted: Scripted, tmp_path: Path, spans: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "shop").symlink_to(tmp_path / "elsewhere")
        self.refused(tmp_path, scripted.endpoint, spans(3))
        assert "it is not a directory of its own" in caplog.text

    def test_a_place_that_cannot_be_made(
        self, scripted: Scripted, tmp_path: Path, spans: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").touch()
        self.refused(tmp_path / "file" / "spool", scripted.endpoint, spans(3))
        assert len(caplog.messages) == 1

    def test_memory_is_bounded_too_and_what_is_dropped_is_counted(
        self, closed_port: int, spans: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = SpoolSettings(None, "shop", max_memory_bytes=10_000, shutdown_seconds=0.1)
        exporter = SpoolingSpanExporter(settings, Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces"))
        for _ in range(20):
            exporter.export(spans(10))
        assert not exporter.force_flush()
        full = COUNTERS.value("dropped", "traces", "memory_full")
        assert full > 0
        exporter.shutdown()
        assert full + COUNTERS.value("dropped", "traces", "ended") == 200


class TestTheQueue:
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_what_ends_its_thread_costs_one_batch_that_is_counted(
        self, closed_port: int, settings: SpoolSettings, wait_for: Any
    ) -> None:
        exporter = SpoolingSpanExporter(settings, Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces"))
        failures = iter([True])

        def encode(spans: Sequence[ReadableSpan]) -> Batch:
            if next(failures, False):
                raise MemoryError
            return spans_to_batch(spans)

        batcher = Batcher("traces", exporter.spool, encode, BatchSettings(0.01, 1, 50))
        tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
        for expected in (("dropped", "failed"), ("spooled", "")):
            span = tracer.start_span("work")
            span.end()
            batcher.add(span)
            wait_for(lambda expected=expected: COUNTERS.value(expected[0], "traces", expected[1]) == 1)
        batcher.close()

    def test_a_full_one_spills_to_disk_and_does_not_drop(self, closed_port: int, settings: SpoolSettings) -> None:
        exporter = SpoolingSpanExporter(
            replace(settings, shutdown_seconds=5.0), Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces")
        )
        provider = TracerProvider(shutdown_on_exit=False)
        # The thread never comes to write: its delay is an hour, and a batch is larger than the queue.
        provider.add_span_processor(SpoolingSpanProcessor(exporter, BatchSettings(3600.0, 1000, 50)))
        tracer = provider.get_tracer("tests")
        assert exporter.force_flush()  # the file is made
        for _ in range(500):
            tracer.start_span("work").end()
        assert COUNTERS.value("spooled", "traces") > 0
        provider.shutdown()
        assert COUNTERS.value("spooled", "traces") == 500
        assert COUNTERS.total("dropped", "traces") == 0

    def test_a_full_one_waits_neither_for_a_lock_of_another_process_nor_drops(
        self, closed_port: int, settings: SpoolSettings
    ) -> None:
        exporter = SpoolingSpanExporter(settings, Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces"))
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SpoolingSpanProcessor(exporter, BatchSettings(3600.0, 1000, 50)))
        tracer = provider.get_tracer("tests")
        assert exporter.force_flush()

        def load() -> None:
            for _ in range(500):
                tracer.start_span("work").end()

        (file,) = (settings.directory or Path()).glob("shop/traces-*.sqlite3")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            thread = threading.Thread(target=load)
            thread.start()
            # Waiting as long as SQLite is told to otherwise, each of the 450 that do not fit would take five seconds.
            thread.join(60)
            assert not thread.is_alive()
            assert COUNTERS.value("spooled", "traces") == 0
            other.execute("ROLLBACK")
        provider.shutdown()
        assert COUNTERS.value("spooled", "traces") == 500
        assert COUNTERS.total("dropped", "traces") == 0

    def test_one_that_the_disk_keeps_full_for_long_drops_the_oldest_and_counts_them(
        self,
        closed_port: int,
        settings: SpoolSettings,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(batching, "_MORE_WHILE_BUSY", 100)
        exporter = SpoolingSpanExporter(settings, Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces"))
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SpoolingSpanProcessor(exporter, BatchSettings(3600.0, 1000, 50)))
        assert exporter.force_flush()
        caplog.clear()
        (file,) = (settings.directory or Path()).glob("shop/traces-*.sqlite3")
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(500):
                provider.get_tracer("tests").start_span("work").end()
            other.execute("ROLLBACK")
        assert not provider.force_flush()
        assert COUNTERS.value("dropped", "traces", "queue_full") == 350
        assert COUNTERS.value("spooled", "traces") == 150
        assert len([message for message in caplog.messages if "the queue is full" in message]) == 1
        provider.shutdown()

    def test_written_through_a_span_is_on_disk_when_its_end_returns(
        self, closed_port: int, settings: SpoolSettings
    ) -> None:
        exporter = SpoolingSpanExporter(
            replace(settings, write_through=True), Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces")
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SpoolingSpanProcessor(exporter))
        provider.get_tracer("tests").start_span("work").end()
        assert COUNTERS.value("spooled", "traces") == 1
        provider.shutdown()


class TestAFinalizer:
    @pytest.mark.parametrize("write_through", [True, False])
    def test_that_ends_a_span_in_the_middle_of_a_write_does_not_wait_for_what_it_has_interrupted(
        self, closed_port: int, settings: SpoolSettings, *, write_through: bool
    ) -> None:
        exporter = SpoolingSpanExporter(
            replace(settings, write_through=write_through), Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces")
        )
        provider = TracerProvider(shutdown_on_exit=False)
        # With room for none, each span is written by who ends it here too.
        provider.add_span_processor(SpoolingSpanProcessor(exporter, BatchSettings(60.0, 100, 0)))
        tracer = provider.get_tracer("tests")

        class Unclosed:
            def __init__(self) -> None:
                self.cycle = self

            def __del__(self) -> None:
                tracer.start_span("unclosed").end()

        def write(connection: sqlite3.Connection) -> None:
            Unclosed()
            gc.collect()

        tracer.start_span("before").end()
        store = exporter.spool._keeper.disk
        assert store is not None
        store.database.run(write)
        tracer.start_span("after").end()
        provider.shutdown()
        dropped = COUNTERS.total("dropped", "traces")
        assert COUNTERS.value("spooled", "traces") + dropped == 3


class TestTheEnd:
    def test_takes_the_configured_time_for_all_signals_together_with_a_black_hole_and_loses_nothing(
        self, black_hole: int, settings: SpoolSettings, spans: Make
    ) -> None:
        settings = replace(settings, shutdown_seconds=1.0)
        url = f"http://127.0.0.1:{black_hole}"
        exporters = [
            SpoolingSpanExporter(settings, Endpoint(f"{url}/v1/traces")),
            SpoolingSpanExporter(replace(settings, service="other"), Endpoint(f"{url}/v1/traces")),
        ]
        for exporter in exporters:
            assert exporter.export(spans(5)) is SpanExportResult.SUCCESS
        began = time.monotonic()
        for exporter in exporters:
            exporter.shutdown()
        took = time.monotonic() - began
        assert 0.5 <= took < 1.0
        for file in (settings.directory or Path()).glob("*/traces-*.sqlite3"):
            left = Store(file, max_bytes=1 << 30)
            assert [stored.batch.items for stored in left.oldest(100, 1 << 30)] == [5]
            left.database.close()

    def test_writes_what_is_queued_to_disk_when_another_signal_has_used_up_the_time(
        self, black_hole: int, settings: SpoolSettings, spans: Make
    ) -> None:
        url = f"http://127.0.0.1:{black_hole}"
        logs = SpoolingLogRecordExporter(settings, Endpoint(f"{url}/v1/logs"))
        processor = SpoolingSpanProcessor(
            SpoolingSpanExporter(settings, Endpoint(f"{url}/v1/traces")), BatchSettings(delay_seconds=60.0)
        )
        for span in spans(5):
            processor.on_end(span)
        PATIENCE.spent = settings.shutdown_seconds
        logs.shutdown()
        processor.shutdown()
        assert COUNTERS.value("spooled", "traces") == 5
        assert COUNTERS.total("dropped", "traces") == 0

    def test_does_not_wait_for_a_collector_that_is_known_to_fail(
        self, closed_port: int, settings: SpoolSettings, spans: Make
    ) -> None:
        exporter = SpoolingSpanExporter(
            replace(settings, shutdown_seconds=60.0), Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces")
        )
        exporter.export(spans(5))
        began = time.monotonic()
        exporter.shutdown()
        assert time.monotonic() - began < 10.0
        assert exporter.export(spans(1)) is SpanExportResult.FAILURE
        assert COUNTERS.value("dropped", "traces", "ended") == 1


class TestThePace:
    def test_tries_are_further_and_further_apart_up_to_a_limit(self) -> None:
        pace, now, waits = pacing.Pace(20.0), 0.0, []
        for _ in range(8):
            pace.failed(now)
            waits.append(pace.wait(now))
            now += waits[-1]
        limits = [0.5, 1, 2, 4, 5, 5, 5, 5]
        assert all(limit / 2 <= wait <= limit for wait, limit in zip(waits, limits, strict=True))

    def test_recovery_begins_small_and_slow_and_grows_to_the_limit(self) -> None:
        pace, now, steps = pacing.Pace(20.0), 0.0, []
        pace.failed(now)
        for _ in range(8):
            steps.append((pace.max_items, round(pace._rate)))
            pace.succeeded(now)
        assert steps == [(1, 2), (4, 4), (16, 8), (64, 16), (256, 20), (1024, 20), (2048, 20), (2048, 20)]

    def test_a_collector_that_asks_for_a_day_is_asked_after_five_minutes(self) -> None:
        pace = pacing.Pace(20.0)
        pace.failed(0.0, after=86_400.0)
        assert pace.wait(0.0) == 300.0
