"""
Set ``user_id`` once; every log line, span, metric, background job and downstream service of that request has it.

The verbs, and what they need. Each is loaded when it is first asked for: the command line, and what OpenTelemetry loads
of us while it is still loading itself, do without.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelctx.core.binding import bind
    from otelctx.core.fields import Field
    from otelctx.core.registry import declare
    from otelctx.core.snapshot import Snapshot, snapshot, wrap
    from otelctx.core.storage import AsyncLocalStorage
    from otelctx.core.verbs import current, get, set  # noqa: A004 - the verb's name is the interface
    from otelctx.errors import ConfigError, FieldError, OtelctxError, UnknownFieldError
    from otelctx.propagation.crossing import extract, inject, request
else:
    _MODULES = {
        "core.binding": ("bind",),
        "core.fields": ("Field",),
        "core.registry": ("declare",),
        "core.snapshot": ("Snapshot", "snapshot", "wrap"),
        "core.storage": ("AsyncLocalStorage",),
        "core.verbs": ("current", "get", "set"),
        "errors": ("ConfigError", "FieldError", "OtelctxError", "UnknownFieldError"),
        "propagation.crossing": ("extract", "inject", "request"),
    }
    _MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name: str) -> object:
        """Load what the public *name* stands for: https://peps.python.org/pep-0562/."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "AsyncLocalStorage",
    "ConfigError",
    "Field",
    "FieldError",
    "OtelctxError",
    "Snapshot",
    "UnknownFieldError",
    "bind",
    "current",
    "declare",
    "extract",
    "get",
    "inject",
    "request",
    "set",
    "snapshot",
    "wrap",
]
