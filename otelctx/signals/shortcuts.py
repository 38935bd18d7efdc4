"""
Shortcuts through OpenTelemetry's metrics and logs: each is there from when its part is imported, and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Final

from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.patches import Reversible


def _instruments(sdk: ModuleType) -> Iterable[Reversible]:
    try:
        from otelctx.signals.measuring import patches  # noqa: PLC0415 - needs that part of the SDK, a known one
    except ImportError:
        return ()
    return patches(sdk)


def _handler(handlers: ModuleType) -> Iterable[Reversible]:
    try:
        from otelctx.signals.log_emission import patches  # noqa: PLC0415 - needs the SDK's logs, known ones
    except ImportError:
        return ()
    return patches(handlers)


_PATCHES: Final = OnImport(
    {"opentelemetry.sdk.metrics": _instruments, "opentelemetry.instrumentation.logging.handler": _handler}
)

install = _PATCHES.install
uninstall = _PATCHES.uninstall
