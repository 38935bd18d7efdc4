"""
The configurator: OpenTelemetry's own, with the resource of this process.

Fields come to its signals by the pre-instrument hook, as with any other configurator.
"""

from __future__ import annotations

import logging
import os
from inspect import signature
from typing import Any, Final

from opentelemetry.sdk._configuration import _initialize_components, _OTelSDKConfigurator

from otelctx.setup.config_files import OTEL_CONFIG_FILE
from otelctx.setup.resource import attributes, renew_after_fork

_LOADER: Final = "opentelemetry.instrumentation.auto_instrumentation._load"


class OtelctxConfigurator(_OTelSDKConfigurator):  # type: ignore[misc]
    """Configures the SDK from the standard variables or from ``OTEL_CONFIG_FILE``."""

    def _configure(self, **kwargs: Any) -> None:
        if os.environ.get(OTEL_CONFIG_FILE):
            # The file says all there is to say; arguments would be ignored with a warning.
            super()._configure()
        else:
            super()._configure(**{"resource_attributes": attributes(os.environ), **_processors(), **kwargs})
            renew_after_fork()
        logging.getLogger(_LOADER).addFilter(_is_news)


def _processors() -> dict[str, Any]:
    # Only a newer SDK lets a configurator choose them; an older one's own processors hand over to our exporters.
    ours = {"export_span_processor": _span_processor, "export_log_record_processor": _log_record_processor}
    known = signature(_initialize_components).parameters
    return {name: make for name, make in ours.items() if name in known}


def _span_processor(exporter: Any, *args: Any, **kwargs: Any) -> Any:
    from otelctx.setup import exporting  # noqa: PLC0415 - needed only where something is exported

    return exporting.span_processor(exporter, *args, **kwargs)


def _log_record_processor(exporter: Any, *args: Any, **kwargs: Any) -> Any:
    from otelctx.setup import exporting  # noqa: PLC0415 - the same

    return exporting.log_record_processor(exporter, *args, **kwargs)


def _is_news(record: logging.LogRecord) -> bool:
    # That the configurator of another distribution beside ours was not loaded is what was asked for.
    return not str(record.msg).startswith("Configuration of %s not loaded")
