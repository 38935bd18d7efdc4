"""
Fields and trace ids on every stdlib log record that a logger makes.

Nothing is ever taken from a record: what its factory has put there wins, and what the caller gives in ``extra`` too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from opentelemetry.trace import SpanContext

from otelctx.boundaries.patches import Patch
from otelctx.core.here import here, span_in
from otelctx.core.redaction import Memo, View
from otelctx.core.registry import registry
from otelctx.core.state import current_layer
from otelctx.core.values import attribute_value

Making = Callable[..., logging.LogRecord]

# https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
TRACE_ID: Final = "trace_id"
SPAN_ID: Final = "span_id"
TRACE_FLAGS: Final = "trace_flags"


# What a record has of its class; a field of such a name would hide it.
_OWN: Final = frozenset(dir(logging.LogRecord))


def stamps() -> Mapping[str, Any]:
    """
    Return what a log record gets here, by field name; not to be changed.

    Declared fields and trace ids are always there, as None when they have no value, so that a format string may name
    them.
    """
    view = registry().in_logs
    layer = current_layer()
    span = span_in(here()).get_span_context()
    if layer is None:
        return _with_ids(_by_name({}, view, {}), span)
    request = layer.request
    if request is None or layer.bound or layer.parent is not None:
        return _with_ids(_by_name(layer.visible(), view, layer.hashes()), span)
    shown = request.shown(_by_name, view)
    kept = request.stamped
    if kept is None or kept[0] is not shown or kept[1] is not span:
        kept = request.stamped = (shown, span, _with_ids(shown, span))
    return kept[2]


def _by_name(values: Mapping[str, object], view: View, hashes: Memo) -> dict[str, Any]:
    stamped: dict[str, Any] = {
        name: value if type(value) is str else attribute_value(value) for name, value in values.items()
    }
    view.redact(stamped, hashes)
    stamped = {**registry().stamped, **{name: shown for name, shown in stamped.items() if shown is not None}}
    for name in _OWN.intersection(stamped):
        del stamped[name]
    return stamped


def _with_ids(shown: Mapping[str, Any], span: SpanContext) -> dict[str, Any]:
    # A SpanContext is a tuple; its properties are calls.
    trace_id, span_id, _, flags, _, is_valid = span
    if not is_valid:
        return {**shown, TRACE_ID: None, SPAN_ID: None, TRACE_FLAGS: None}
    return {**shown, TRACE_ID: f"{trace_id:032x}", SPAN_ID: f"{span_id:016x}", TRACE_FLAGS: f"{flags:02x}"}


def _stamping(original: Making) -> Making:
    @wraps(original)
    def makeRecord(self: logging.Logger, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802 - its name
        record = original(self, *args, **kwargs)
        has, added = record.__dict__, stamps()
        if not has.keys().isdisjoint(added):
            added = {name: value for name, value in added.items() if name not in has}
        has.update(added)
        return record

    return makeRecord


PATCH: Final = Patch(logging.Logger, "makeRecord", _stamping)
