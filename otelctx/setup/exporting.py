"""
Delivery as it is configured: the exporters named ``otelctx``, and the processors that go with them.

``OTEL_TRACES_EXPORTER=otelctx`` finds them under any distribution; ours makes that the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from otelctx.core.reports import report
from otelctx.errors import ConfigError
from otelctx.export.batching import BatchSettings
from otelctx.export.exporters import SpoolingLogRecordExporter, SpoolingMetricExporter, SpoolingSpanExporter
from otelctx.export.processors import SpoolingLogRecordProcessor, SpoolingSpanProcessor
from otelctx.export.settings import SpoolSettings, state_directory
from otelctx.setup import config
from otelctx.setup.resource import given_service_name


class ConfiguredSpanExporter(SpoolingSpanExporter):
    """Exports spans, within the bounds that are configured."""

    def __init__(self) -> None:
        """Read the configuration."""
        super().__init__(spool_settings(os.environ))


class ConfiguredLogRecordExporter(SpoolingLogRecordExporter):
    """Exports log records, within the bounds that are configured."""

    def __init__(self) -> None:
        """Read the configuration."""
        super().__init__(spool_settings(os.environ))


class ConfiguredMetricExporter(SpoolingMetricExporter):
    """Exports metrics, within the bounds that are configured."""

    def __init__(self) -> None:
        """Read the configuration."""
        super().__init__(spool_settings(os.environ))


def spool_settings(environ: Mapping[str, str]) -> SpoolSettings:
    """Return the settings for this process; nothing is written to disk while they are wrong, or say so."""
    service = given_service_name(environ) or "unknown_service"
    try:
        settings = config.load(environ, Path.cwd()).export
    except ConfigError:
        # Set-up says what is wrong.
        return SpoolSettings(None, service)
    if settings is None:
        return SpoolSettings(None, service)
    return replace(settings, service=service, directory=settings.directory or state_directory(environ))


def span_processor(exporter: SpanExporter, *_: Any, **__: Any) -> SpanProcessor:
    """Return what hands spans to *exporter*: ours for ours, and the SDK's for any other."""
    if isinstance(exporter, SpoolingSpanExporter):
        return SpoolingSpanProcessor(exporter, batch_settings("OTEL_BSP", os.environ))
    return BatchSpanProcessor(exporter)


def log_record_processor(exporter: LogRecordExporter, *_: Any, **__: Any) -> LogRecordProcessor:
    """Return what hands log records to *exporter*: ours for ours, and the SDK's for any other."""
    if isinstance(exporter, SpoolingLogRecordExporter):
        return SpoolingLogRecordProcessor(exporter, batch_settings("OTEL_BLRP", os.environ))
    return BatchLogRecordProcessor(exporter)


def batch_settings(prefix: str, environ: Mapping[str, str]) -> BatchSettings:
    """
    Return what the standard variables of the batch processor that start with *prefix* say; else our defaults.

    >>> batch_settings("OTEL_BSP", {"OTEL_BSP_SCHEDULE_DELAY": "200"}).delay_seconds
    0.2
    """
    defaults = BatchSettings()
    return BatchSettings(
        delay_seconds=_number(f"{prefix}_SCHEDULE_DELAY", environ, int(defaults.delay_seconds * 1000)) / 1000,
        batch_size=_number(f"{prefix}_MAX_EXPORT_BATCH_SIZE", environ, defaults.batch_size),
        queue_size=_number(f"{prefix}_MAX_QUEUE_SIZE", environ, defaults.queue_size),
    )


def _number(name: str, environ: Mapping[str, str], default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    report(f"export.{name.lower()}", "%s is ignored; expected an integer of at least 1", name)
    return default
