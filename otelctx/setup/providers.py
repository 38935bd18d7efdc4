"""
The SDK's providers, given the processors that put fields on spans and log records, and the count of reports.

Whoever made the providers, OpenTelemetry's configurator, ours or one of a config file, each gets them once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from opentelemetry import trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.metrics import get_meter_provider

from otelctx.signals.report_counter import count_reports

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import LoggerProvider

    from otelctx.signals.otlp_logs import FieldLogRecordProcessor

_attached: WeakSet[Any] = WeakSet()


def attach() -> None:
    """Add what is ours to the global providers, if those are the SDK's and have not got them yet."""
    tracer_provider: Any = trace.get_tracer_provider()
    if _is_new(tracer_provider, "opentelemetry.sdk.trace", "TracerProvider"):
        from otelctx.signals.spans import FieldSpanProcessor  # noqa: PLC0415 - needs that part of the SDK

        tracer_provider.add_span_processor(FieldSpanProcessor())
    logger_provider: Any = get_logger_provider()
    if _is_new(logger_provider, "opentelemetry.sdk._logs", "LoggerProvider"):
        from otelctx.signals.otlp_logs import FieldLogRecordProcessor  # noqa: PLC0415 - needs that part of the SDK

        _add_first(logger_provider, FieldLogRecordProcessor())
    meter_provider: Any = get_meter_provider()
    if _is_new(meter_provider, "opentelemetry.sdk.metrics", "MeterProvider"):
        count_reports(meter_provider)


def _is_new(provider: Any, module: str, name: str) -> bool:
    # A part of the SDK that nobody has loaded has made no provider, and takes a while to load.
    loaded = sys.modules.get(module)
    if loaded is None or not isinstance(provider, getattr(loaded, name)) or provider in _attached:
        return False
    _attached.add(provider)
    return True


def _add_first(provider: LoggerProvider, processor: FieldLogRecordProcessor) -> None:
    # A processor before ours would export a record, or hand it to another thread, without its fields. There is no
    # public way to be first; where the private one is gone, being last is still right for a batch.
    provider.add_log_record_processor(processor)
    processors = getattr(provider, "_multi_log_record_processor", None)
    present = getattr(processors, "_log_record_processors", None)
    if isinstance(present, tuple):
        others = tuple(other for other in present if other is not processor)
        processors._log_record_processors = (processor, *others)  # type: ignore[union-attr]  # noqa: SLF001 - see above
