"""
Fields on OTLP log records, under their attribute names.

Needs the SDK. A record that came through stdlib logging carries stamps by field name, made for formatters; here they
become the attributes that spans have too, and those with no value go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.trace import TraceFlags

from otelctx.core.here import here
from otelctx.core.registry import registry
from otelctx.core.state import current_layer
from otelctx.signals.attributes import attributes_of
from otelctx.signals.log_records import SPAN_ID, TRACE_FLAGS, TRACE_ID, stamps

_STAMPS: Final = {
    TRACE_ID: re.compile(r"[0-9a-f]{32}"),
    SPAN_ID: re.compile(r"[0-9a-f]{16}"),
    TRACE_FLAGS: re.compile(r"[0-9a-f]{2}"),
}


class FieldLogRecordProcessor(LogRecordProcessor):
    """Gives each log record the fields of the Context it was emitted in; it must be the first processor."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Stamp *log_record*; an attribute that the caller gave stays as it is."""
        record = log_record.log_record
        # The SDK makes it a mutable mapping, whatever it was given.
        attributes: Any = record.attributes
        if attributes is None:
            return
        if not (type(attributes) is BoundedAttributes and _finish(record, attributes)):
            _complete(record, attributes)

    def shutdown(self) -> None:
        """Do nothing: there is nothing to deliver."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - the interface
        """Return True: there is nothing to deliver."""
        return True


def _finish(record: LogRecord, attributes: BoundedAttributes) -> bool:
    """
    Put fields in the place of their stamps, if these are what a record gets here; it is nobody else's yet.

    Returns:
        Whether that is done: not for a record that may have been made elsewhere, nor if the caller gave some of it.
    """
    # Its own look-up raises and catches for each name.
    has: dict[str, Any] | None = getattr(attributes, "_dict", None)
    stamped = stamps()
    if (
        has is None
        or record.context is not here()
        or attributes.max_value_len is not None
        or TRACE_ID not in has
        or not stamped.items() <= has.items()
    ):
        return False
    declared = registry()
    given = {name: value for name, value in has.items() if name not in stamped}
    if given and any(field.attribute_name in given for field in declared.by_name.values()):
        return False
    attributes._dict = given  # noqa: SLF001 - as it was read
    layer, view, most = current_layer(), declared.in_logs, attributes.maxlen
    shown: Mapping[str, Any] = {}
    if layer is not None and (layer.bound or layer.parent is not None):
        shown = attributes_of(layer, view)
    elif layer is not None:
        # The stamps are all there is to show, under other names.
        shown = {view.names.get(name, name): value for name, value in stamped.items() if name not in _STAMPS}
    for name, value in shown.items():
        if name in given or value is None:
            continue
        if type(value) is str and (most is None or len(given) < most):
            given[name] = value
        else:
            attributes[name] = value
    return True


def _complete(record: LogRecord, attributes: MutableMapping[str, Any]) -> None:
    """Do the same for a record that may have been made elsewhere, or not by logging."""
    is_stamped = TRACE_ID in attributes
    _translate(record, attributes)
    layer = current_layer(record.context) or current_layer()
    if layer is None:
        return
    shown = attributes_of(layer, registry().in_logs)
    if is_stamped and not _agree(attributes, shown):
        return
    for key, value in shown.items():
        if key not in attributes:
            attributes[key] = value


def _agree(attributes: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """
    Tell whether a record that was stamped where it was made is emitted in that same place.

    If not, as by a `logging.handlers.MemoryHandler` or the thread of a `QueueListener`, it is complete as it is: what
    is current here is somebody else's.
    """
    names = [field.attribute_name for field in registry().by_name.values()]
    return all(attributes.get(name) == shown.get(name) for name in names if name in shown or name in attributes)


def _translate(record: LogRecord, attributes: MutableMapping[str, Any]) -> None:
    """
    Give what came by field name its attribute name, and what came as text of a trace id its place.

    A record may be emitted far from where it was made, by the thread of a `logging.handlers.QueueListener`; then what
    it carries is all there is.
    """
    for name, field in registry().by_name.items():
        if name in attributes and ((value := attributes[name]) is None or field.attribute_name != name):
            del attributes[name]
            if value is not None and field.attribute_name not in attributes:
                attributes[field.attribute_name] = value
    stamped = [name for name, form in _STAMPS.items() if _is_stamp(attributes.get(name), form)]
    found = {name: attributes.pop(name, None) for name in stamped}
    if not record.trace_id and all(found.get(name) for name in _STAMPS):
        record.trace_id, record.span_id, flags = (int(found[name], 16) for name in _STAMPS)
        record.trace_flags = TraceFlags(flags)


def _is_stamp(value: object, form: re.Pattern[str]) -> bool:
    # What the caller gave under such a name may be anything, and stays.
    return value is None or (isinstance(value, str) and form.fullmatch(value) is not None)
