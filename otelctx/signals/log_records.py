"""
Fields and trace ids on every stdlib log record that a logger makes.

Nothing is ever taken from a record: what its factory has put there wins, and what the caller gives in ``extra`` too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from opentelemetry.context import Context

from otelctx.boundaries.patches import Patch
from otelctx.core.generator_context import GeneratorContext
from otelctx.core.here import NOWHERE, SPAN_KEY, raw_context, span_in
from otelctx.core.layers import Layer
from otelctx.core.redaction import Memo, View
from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.core.state import BAGGAGE_KEY, layer_here
from otelctx.core.values import attribute_value
from otelctx.native import compiled

Making = Callable[..., logging.LogRecord]

# https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
TRACE_ID: Final = "trace_id"
SPAN_ID: Final = "span_id"
TRACE_FLAGS: Final = "trace_flags"


# What every record has of itself and of its class; a field of such a name does not take its place.
_STANDARD: Final = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None)))
OWN: Final = _STANDARD.union(dir(logging.LogRecord))


@compiled
def stamps() -> Mapping[str, Any]:
    """
    Return what a log record gets here, by field name; not to be changed.

    Declared fields and trace ids are always there, as None when they have no value, so that a format string may name
    them.
    """
    context = raw_context(NOWHERE)
    if type(context) is GeneratorContext:
        context = context.seen_from_here()
    layer, view = context.get(BAGGAGE_KEY), registry().in_logs
    if type(layer) is not Layer or type(layer.request) is not Request or layer.bound or layer.parent is not None:
        return new_stamps(context)
    request, span = layer.request, context.get(SPAN_KEY)
    version, kept = request.version, request.stamped
    # Nearly always: nothing has changed since the last record.
    if kept is None or kept[0] is not version or kept[1] is not view or kept[2] is not span:
        made = made_stamps(request.values.copy(), view, request.hashes, context)
        kept = request.stamped = (version, view, span, made)
    return kept[3]


def new_stamps(context: Context) -> Mapping[str, Any]:
    """Return what a log record gets that is made in *context*, which is current."""
    layer = layer_here(context)
    values, hashes = ({}, {}) if layer is None else (layer.visible(), layer.hashes())
    return made_stamps(values, registry().in_logs, hashes, context)


@compiled
def made_stamps(values: dict[str, object], view: View, hashes: Memo, context: Context) -> dict[str, Any]:
    """Return what *view* shows of *values*, which nobody else has, and the ids of the span of *context*."""
    hidden, only = view.hidden, view.only
    stamped: dict[str, Any] = {**registry().stamped}
    for name, value in values.items():
        shown = value if type(value) is str else attribute_value(value)
        if shown is not None and name not in hidden and (only is None or name in only):
            stamped[name] = shown
    for name, alter in view.altered.items():
        clear = stamped.get(name)
        if clear is not None:
            stamped[name] = alter(clear, hashes)
    for name in OWN.intersection(stamped):
        del stamped[name]
    # A SpanContext is a tuple; its properties are calls.
    trace_id, span_id, _, flags, _, is_valid = span_in(context).get_span_context()
    stamped[TRACE_ID] = f"{trace_id:032x}" if is_valid else None
    stamped[SPAN_ID] = f"{span_id:016x}" if is_valid else None
    stamped[TRACE_FLAGS] = f"{flags:02x}" if is_valid else None
    return stamped


def lay_out() -> None:
    """
    Let records have room for stamps from the start, if this is asked early.

    The first few objects of a class say which names their attributes have in one table for all (PEP 412); for a name
    that comes later each object needs a table of its own. The formatter adds two names.
    """
    record = logging.LogRecord("", 0, "", 0, "", None, None)
    for name in ("message", "asctime", TRACE_ID, SPAN_ID, TRACE_FLAGS, *registry().stamped):
        setattr(record, name, None)


@compiled
def stamping(original: Making) -> Making:
    """Return what makes a record as *original* does, and stamps it."""
    lay_out()

    @wraps(original)
    def makeRecord(  # noqa: N802, PLR0917 - its name and its signature
        self: logging.Logger,
        name: str,
        level: int,
        fn: str,
        lno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        extra: Any = None,
        sinfo: str | None = None,
    ) -> logging.LogRecord:
        record = original(self, name, level, fn, lno, msg, args, exc_info, func, extra, sinfo)
        has, added = record.__dict__, stamps()
        # No stamp has the name of what every record has.
        if len(has) != len(_STANDARD) and not has.keys().isdisjoint(added):
            added = {name: value for name, value in added.items() if name not in has}
        has |= added
        return record

    return makeRecord


PATCH: Final = Patch(logging.Logger, "makeRecord", stamping)
