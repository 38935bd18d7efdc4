"""
Fields and trace ids on every stdlib log record, through the record factory.

The factory calls the one that was there before, and never takes anything from a record: what it already has wins, and
what the caller gives in ``extra`` wins too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from typing import Any, Final
from weakref import WeakSet

from otelctx.boundaries.patches import Patch
from otelctx.core.here import here, span_in
from otelctx.core.redaction import Memo, View
from otelctx.core.registry import registry
from otelctx.core.state import current_layer_of, layer_in
from otelctx.core.values import attribute_value

Factory = Callable[..., logging.LogRecord]

# https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/
TRACE_ID: Final = "trace_id"
SPAN_ID: Final = "span_id"
TRACE_FLAGS: Final = "trace_flags"


# What a record has of its class; a field of such a name would hide it.
_OWN: Final = frozenset(dir(logging.LogRecord))


def stamps() -> dict[str, Any]:
    """
    Return what a log record gets here, by field name.

    Declared fields and trace ids are always there, as None when they have no value, so that a format string may name
    them.
    """
    view = registry().in_logs
    context = here()
    layer = current_layer_of(layer_in(context))
    if layer is None:
        values = _by_name({}, view, {})
    elif layer.parent is None and not layer.bound and layer.request is not None:
        values = {**layer.request.shown(_by_name, view)}
    else:
        values = _by_name(layer.visible(), view, layer.hashes())
    # A SpanContext is a tuple; its properties are calls.
    trace_id, span_id, _, flags, _, is_valid = span_in(context).get_span_context()
    if is_valid:
        values[TRACE_ID] = f"{trace_id:032x}"
        values[SPAN_ID] = f"{span_id:016x}"
        values[TRACE_FLAGS] = f"{flags:02x}"
    return values


def _by_name(values: Mapping[str, object], view: View, hashes: Memo) -> dict[str, Any]:
    stamped: dict[str, Any] = {
        name: value if type(value) is str else attribute_value(value) for name, value in values.items()
    }
    if view.hidden or view.altered:
        view.redact(stamped, hashes)
    stamped = {**registry().stamped, **{name: shown for name, shown in stamped.items() if shown is not None}}
    for name in _OWN.intersection(stamped):
        del stamped[name]
    return {**stamped, TRACE_ID: None, SPAN_ID: None, TRACE_FLAGS: None}


class StampedDict(dict[str, Any]):
    """
    A record's ``__dict__`` in which stamps do not count as present while the record is made.

    `logging.Logger.makeRecord` refuses an ``extra`` whose key the record has already. An application that passes
    ``extra={"user_id": …}`` must work as before, and its value must win.
    """

    __slots__ = ("stamped",)

    stamped: Collection[str]

    def __contains__(self, key: object) -> bool:
        return key not in self.stamped and dict.__contains__(self, key)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def stamp(record: logging.LogRecord) -> logging.LogRecord:
    """Give *record* the fields and trace ids of here, and return it."""
    before = record.__dict__
    if type(before) is StampedDict:
        return record
    added = stamps()
    attributes = StampedDict(added)
    attributes.update(before)
    attributes.stamped = added.keys() - before.keys()
    record.__dict__ = attributes
    return record


def _making(original: Factory) -> Factory:
    @wraps(original)
    def makeRecord(self: logging.Logger, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802 - its name
        record = original(self, *args, **kwargs)
        attributes = record.__dict__
        if type(attributes) is StampedDict:
            attributes.stamped = ()
        return record

    return makeRecord


_MAKING: Final = Patch(logging.Logger, "makeRecord", _making)


class _StampingFactory:
    """A record factory that stamps what another one makes, until it is switched off."""

    def __init__(self, inner: Factory) -> None:
        self.inner = inner
        self.on = True

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self.inner(*args, **kwargs)
        return stamp(record) if self.on else record


_factories: Final[WeakSet[_StampingFactory]] = WeakSet()


def install() -> None:
    """Put the stamping factory on top of the current one; once is enough."""
    _MAKING.install()
    current = logging.getLogRecordFactory()
    if isinstance(current, _StampingFactory):
        current.on = True
    else:
        # Under what somebody else has put on top there may be one of ours still; a record is stamped once all the same.
        stamping = _StampingFactory(current)
        _factories.add(stamping)
        logging.setLogRecordFactory(stamping)


def uninstall() -> None:
    """Take the stamping factory off; under a factory of somebody else it stays and does nothing."""
    _MAKING.uninstall()
    for stamping in _factories:
        stamping.on = False
    current = logging.getLogRecordFactory()
    if isinstance(current, _StampingFactory):
        logging.setLogRecordFactory(current.inner)
