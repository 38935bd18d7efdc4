"""
otelctx as one of OpenTelemetry's instrumentors, for whoever sets up instrumentation by hand or in a config file.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from otelctx.setup import install


class OtelctxInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """
    Installs otelctx: ``OtelctxInstrumentor().instrument()``, after the providers are set.

    Raises:
        ConfigError: a configuration file or variable is wrong.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: it instruments Python itself."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the interface
        install.install()

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the interface
        install.uninstall()
