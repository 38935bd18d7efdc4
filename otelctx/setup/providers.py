"""
The SDK's providers, given the processors that put fields on spans and log records, and the count of reports.

Whoever made the providers, OpenTelemetry's configurator, ours or one of a config file, each gets them once.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from otelctx.signals.otlp_logs import FieldLogRecordProcessor
from otelctx.signals.report_counter import count_reports
from otelctx.signals.spans import FieldSpanProcessor

_attached: WeakSet[Any] = WeakSet()


def attach() -> None:
    """Add what is ours to the global providers, if those are the SDK's and have not got them yet."""
    tracer_provider = trace.get_tracer_provider()
    if isinstance(tracer_provider, TracerProvider) and tracer_provider not in _attached:
        _attached.add(tracer_provider)
        tracer_provider.add_span_processor(FieldSpanProcessor())
    logger_provider = get_logger_provider()
    if isinstance(logger_provider, LoggerProvider) and logger_provider not in _attached:
        _attached.add(logger_provider)
        _add_first(logger_provider, FieldLogRecordProcessor())
    meter_provider = get_meter_provider()
    if isinstance(meter_provider, MeterProvider) and meter_provider not in _attached:
        _attached.add(meter_provider)
        count_reports(meter_provider)


def _add_first(provider: LoggerProvider, processor: FieldLogRecordProcessor) -> None:
    # A processor before ours would export a record, or hand it to another thread, without its fields. There is no
    # public way to be first; where the private one is gone, being last is still right for a batch.
    provider.add_log_record_processor(processor)
    processors = getattr(provider, "_multi_log_record_processor", None)
    present = getattr(processors, "_log_record_processors", None)
    if isinstance(present, tuple):
        others = tuple(other for other in present if other is not processor)
        processors._log_record_processors = (processor, *others)  # type: ignore[union-attr]  # noqa: SLF001 - see above
