"""
The distribution: defaults for auto-instrumentation, each of which a standard ``OTEL_*`` variable overrides.

It says that everything goes by OTLP over HTTP to a collector on this machine, and what the service is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from functools import partial
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.distro import BaseDistro

from otelctx.errors import ConfigError
from otelctx.setup import config, instrumentations
from otelctx.setup.environment_variables import is_enabled
from otelctx.setup.resource import given_service_name, service_name

_EXPORTERS: Final = ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER")
_SPOOLING, _PLAIN = "otelctx", "otlp"

# A collector on this machine answers at once or is not there. Without a spool, the end of a program waits for that.
_SECONDS_ON_THIS_MACHINE: Final = "2"


class OtelctxDistro(BaseDistro):  # type: ignore[misc]
    """What ``otelctx run`` and ``opentelemetry-instrument`` start from."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - the interface
        set_defaults(os.environ)

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Instrument what *entry_point* is of: at once, or when the application imports it."""
        load = partial(super().load_instrumentor, entry_point, **kwargs)
        library = instrumentations.awaited_library(entry_point, os.environ)
        if library is None:
            load()
        else:
            instrumentations.wait(entry_point, library, load)


def set_defaults(environ: MutableMapping[str, str]) -> None:
    """Add to *environ* what it does not say."""
    if given_service_name(environ) is None:
        service = service_name(sys.orig_argv, Path.cwd())
        if service is not None:
            environ["OTEL_SERVICE_NAME"] = service
    exporter = _SPOOLING if _is_spooling(environ) else _PLAIN
    for name in _EXPORTERS:
        environ.setdefault(name, exporter)
    environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    is_here = not any(name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("ENDPOINT") for name in environ)
    if is_here and exporter == _PLAIN:
        environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", _SECONDS_ON_THIS_MACHINE)


def _is_spooling(environ: Mapping[str, str]) -> bool:
    # A provider of credentials hands the SDK's exporters a client of its own.
    if any(name.startswith("OTEL_PYTHON_EXPORTER_OTLP_") and name.endswith("CREDENTIAL_PROVIDER") for name in environ):
        return False
    try:
        # A source tree may be newer than the metadata that it was installed with; then nothing would be exported at
        # all. Only our own are asked: to look at what all packages have would take longer than the rest of set-up.
        if not distribution("otelctx").entry_points.select(group="opentelemetry_traces_exporter", name=_SPOOLING):
            return False
    except PackageNotFoundError:
        return False
    try:
        return is_enabled(environ) and config.load(environ, Path.cwd()).export is not None
    except ConfigError:
        # Set-up says what is wrong. Until it is right, nothing is written to disk.
        return False
