"""
The distribution: defaults for auto-instrumentation, each of which a standard ``OTEL_*`` variable overrides.

It says that everything goes by OTLP over HTTP to a collector on this machine, and what the service is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final

from opentelemetry.instrumentation.distro import BaseDistro

from otelctx.setup.resource import service_name

_DEFAULTS: Final = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}

# A collector on this machine answers at once or is not there; a program that ends does not wait for it any longer.
_SECONDS_ON_THIS_MACHINE: Final = "2"


class OtelctxDistro(BaseDistro):  # type: ignore[misc]
    """What ``otelctx run`` and ``opentelemetry-instrument`` start from."""

    def _configure(self, **kwargs: Any) -> None:  # noqa: ARG002 - the interface
        set_defaults(os.environ)


def set_defaults(environ: MutableMapping[str, str]) -> None:
    """Add to *environ* what it does not say."""
    for name, value in _DEFAULTS.items():
        environ.setdefault(name, value)
    if not any(name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith("ENDPOINT") for name in environ):
        environ.setdefault("OTEL_EXPORTER_OTLP_TIMEOUT", _SECONDS_ON_THIS_MACHINE)
    if "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        return
    service = service_name(sys.orig_argv, Path.cwd())
    if service is not None:
        environ["OTEL_SERVICE_NAME"] = service
