"""
otelctx as OpenTelemetry's instrumentors, for whoever sets up instrumentation by hand or in a config file.

`OtelctxInstrumentor` is all of it; each of the others is one boundary, and leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from otelctx.setup import install
from otelctx.setup.boundaries import BOUNDARIES
from otelctx.setup.boundaries import install as install_boundary


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


class _BoundaryInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Installs one boundary."""

    boundary: ClassVar[str]

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: what is not there is not patched."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the interface
        install_boundary(self.boundary)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the interface
        BOUNDARIES[self.boundary].uninstall()


class GeneratorsInstrumentor(_BoundaryInstrumentor):
    """Keeps what a generator attaches out of its consumer."""

    boundary = "generators"


class ThreadsInstrumentor(_BoundaryInstrumentor):
    """Carries the context into threads, thread pools and their callbacks."""

    boundary = "threads"


class AsyncioInstrumentor(_BoundaryInstrumentor):
    """Runs each run of an `asyncio.Runner` in the request of whoever asks for it."""

    boundary = "asyncio"


class GreenletsInstrumentor(_BoundaryInstrumentor):
    """Carries the context into the greenlets of gevent."""

    boundary = "greenlets"


class SignalHandlersInstrumentor(_BoundaryInstrumentor):
    """Runs signal handlers in no request."""

    boundary = "signal-handlers"


class FinalizersInstrumentor(_BoundaryInstrumentor):
    """Runs finalizers in no request."""

    boundary = "finalizers"


class ProcessesInstrumentor(_BoundaryInstrumentor):
    """Carries the request into processes and process pools of `multiprocessing`."""

    boundary = "processes"


class SubprocessesInstrumentor(_BoundaryInstrumentor):
    """Carries the request into the environment of other programs."""

    boundary = "subprocesses"
