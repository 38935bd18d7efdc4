"""
Processors for the SDK that write spans and log records to the spool, in batches or each at once.

No call waits for the collector. With `write_through` of the settings, a call returns when its item is on disk.
"""

from __future__ import annotations

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import TraceFlags

from otelctx.core.here import NOWHERE
from otelctx.export.batching import Batcher, BatchSettings
from otelctx.export.delivering import is_delivering
from otelctx.export.encoding import logs_to_batch, spans_to_batch
from otelctx.export.exporters import SpoolingLogRecordExporter, SpoolingSpanExporter


class SpoolingSpanProcessor(SpanProcessor):
    """Writes the spans that are sampled to the spool of an exporter."""

    def __init__(self, exporter: SpoolingSpanExporter | None = None, settings: BatchSettings | None = None) -> None:
        """
        Queue nothing yet.

        Args:
            exporter: has the spool; one with the defaults.
            settings: when a batch is written; the defaults.
        """
        self.span_exporter = exporter or SpoolingSpanExporter()
        self._batcher = Batcher("traces", self.span_exporter.spool, spans_to_batch, settings or BatchSettings())
        self._add = self._batcher.add

    def on_end(self, span: ReadableSpan) -> None:
        """Take *span*."""
        context = span.context
        # A SpanContext is a tuple; its properties are calls.
        if context is not None and context[3] & TraceFlags.SAMPLED:
            self._add(span)

    def force_flush(self, timeout_millis: int | None = 30_000) -> bool:
        """Write everything to disk, wait for the collector unless it fails, and tell whether all is acknowledged."""
        return self._batcher.flush(30.0 if timeout_millis is None else timeout_millis / 1000)

    def shutdown(self) -> None:
        """Write everything to disk, and wait for the collector as long as the end of the process may take."""
        self._batcher.close()


class SpoolingLogRecordProcessor(LogRecordProcessor):
    """Writes log records to the spool of an exporter."""

    def __init__(
        self, exporter: SpoolingLogRecordExporter | None = None, settings: BatchSettings | None = None
    ) -> None:
        """Queue nothing yet; the arguments are those of `SpoolingSpanProcessor`."""
        self.log_record_exporter = exporter or SpoolingLogRecordExporter()
        self._batcher = Batcher("logs", self.log_record_exporter.spool, logs_to_batch, settings or BatchSettings())

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take *log_record*."""
        record = log_record.log_record
        # What the HTTP client says about each request would be delivered by the next request, without end.
        if is_delivering() and (
            record.severity_number is None or record.severity_number.value < SeverityNumber.WARN.value
        ):
            return
        self._batcher.add(_readable(log_record))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write everything to disk, wait for the collector unless it fails, and tell whether all is acknowledged."""
        return self._batcher.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Write everything to disk, and wait for the collector as long as the end of the process may take."""
        self._batcher.close()


def _readable(log_record: ReadWriteLogRecord) -> ReadableLogRecord:
    """Return what an exporter reads of *log_record*, made past the constructors, which take a call for each field."""
    kept = object.__new__(LogRecord)
    vars(kept).update(vars(log_record.log_record))
    # It would keep everything in it alive for as long as the record waits.
    kept.context = NOWHERE
    readable = object.__new__(ReadableLogRecord)
    vars(readable).update(vars(log_record), log_record=kept)
    if log_record.resource is None:
        vars(readable)["resource"] = Resource.create({})
    return readable
