"""
Set ``user_id`` once; every log line, span, metric, background job and downstream service of that request has it.

The verbs, and what they need. Importing this loads no SDK and no framework.
"""

from otelctx.core.binding import bind
from otelctx.core.fields import Field
from otelctx.core.registry import declare
from otelctx.core.snapshot import Snapshot, snapshot, wrap
from otelctx.core.storage import AsyncLocalStorage
from otelctx.core.verbs import current, get, set  # noqa: A004 - the verb's name is the interface
from otelctx.errors import ConfigError, FieldError, OtelctxError, UnknownFieldError
from otelctx.propagation.crossing import extract, inject, request

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
