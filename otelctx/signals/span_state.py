"""
What a span that records holds, and what is done to each of them: made, started, written to, read and ended.

Attributes are in a plain dict, and cleaned only where they are not clean as they come. A write is one operation of a
dict or list, atomic with and without the GIL; a lock is taken where more than that has to hold together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from threading import RLock
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AnyValue, Attributes

from otelctx.native import compiled
from otelctx.signals.clean import PLAIN, TEXT, Clean
from otelctx.signals.processors import processors_of

# What an application knows from the SDK about the misuse of spans comes from the SDK's logger.
SDK_LOGGER: Final = logging.getLogger("opentelemetry.sdk.trace")

# What most spans have at the end.
UNSET: Final = Status(StatusCode.UNSET)

_ABSENT: Final = object()

# What an exporter reads of a span. A plain tuple: one with names takes longer to make than to read.
SpanContents: TypeAlias = tuple[
    SpanContext,
    "SpanContext | None",  # the parent's
    str,  # the name
    SpanKind,
    "int | None",  # start
    "int | None",  # end
    Mapping[str, AnyValue],
    int,  # attributes dropped
    Sequence[Event],
    int,  # events dropped
    Sequence[Link],
    int,  # links dropped
    "Status | None",
]

# An event that nobody has asked for yet is what one is made of: its name, its attributes and its time.
Told: TypeAlias = "Event | tuple[str, dict[str, AnyValue], int]"


@compiled
class SpanState:
    """What a span holds, under the names that the SDK's spans have for it, and how most of it gets there."""

    __slots__ = (
        "_context",
        "_dropped",
        "_dropped_events",
        "_end_time",
        "_instrumentation_info",
        "_instrumentation_scope",
        "_kind",
        "_limits",
        "_linked",
        "_name",
        "_open",
        "_parent",
        "_record_end_metrics",
        "_record_exception",
        "_resource",
        "_sampler",
        "_set_status_on_exception",
        "_span_processor",
        "_start_time",
        "_status",
        "_told",
        "_values",
    )

    _made_lock: Any = None

    if TYPE_CHECKING:  # what the span itself is to have
        events: Any
        links: Any
        dropped_links: Any
        _clean_value: Callable[[str, AnyValue], None]
        _clean_all: Callable[[Mapping[str, AnyValue]], None]
        _add_unusual_event: Callable[[str, Attributes, int | None], None]

    # Asked of each span by its processors; these ask without a call.
    context = property(attrgetter("_context"), doc="What identifies the span.")
    parent = property(attrgetter("_parent"), doc="What identifies its parent.")
    kind = property(attrgetter("_kind"), doc="Its kind.")

    def make(  # noqa: PLR0917 - what every span has
        self,
        tracer: Any,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
    ) -> None:
        """Fill a span that has not started yet, for *tracer*, an `opentelemetry.sdk.trace.Tracer`."""
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._resource = tracer.resource
        self._instrumentation_info = tracer.instrumentation_info
        self._instrumentation_scope = tracer._instrumentation_scope  # noqa: SLF001 - see tracing.py
        self._sampler = tracer.sampler
        self._span_processor = tracer.span_processor
        self._limits = tracer._span_limits  # noqa: SLF001 - see tracing.py
        self._start_time: int | None = None
        self._end_time: int | None = None
        self._status = UNSET
        self._record_exception = self._set_status_on_exception = True
        self._record_end_metrics: Callable[[], None] | None = None  # None where nobody counts
        # Whoever takes this out ends the span: without a lock, and once.
        self._open = [True]
        self._told: list[Told] = []
        self._linked: Any = None
        self._dropped_events = self._dropped = 0
        self._values: dict[str, AnyValue] = {}
        if type(attributes) is Clean:
            self.stamp(attributes)
        elif attributes:
            self.set_attributes(attributes)

    def differ(
        self, record_exception: bool, set_status_on_exception: bool, record_end_metrics: Callable[[], None] | None
    ) -> None:
        """Be treated in another way than most spans, which have started no more than this one."""
        self._record_exception = record_exception
        self._set_status_on_exception = set_status_on_exception
        self._record_end_metrics = record_end_metrics

    @property
    def _lock(self) -> Any:
        # The SDK's methods take it; most spans need none. One operation, so that there is never another one. What runs
        # while it is held may want it too: the text of a value, a signal handler.
        return self._made_lock or vars(self).setdefault("_made_lock", RLock())

    def get_span_context(self) -> SpanContext:
        """Return what identifies the span."""
        return self._context

    def is_recording(self) -> bool:
        """Tell whether it has not ended."""
        return self._end_time is None

    # A writer takes the dict or list first and looks then whether the span has ended. `end` does it the other way
    # round, so that a write which comes too late goes to where nobody looks.

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Set one attribute."""
        values, limits = self._values, self._limits
        if self._end_time is not None:
            SDK_LOGGER.warning("Setting attribute on ended span.")
        elif (
            type(value) in PLAIN
            and type(key) is str
            and key
            and key not in values
            and limits.max_span_attribute_length is None
            and (limits.max_span_attributes is None or len(values) < limits.max_span_attributes)
        ):
            values[key] = value
        else:
            self._clean_value(key, value)

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set all of *attributes*."""
        values, limits = self._values, self._limits
        if self._end_time is not None:
            SDK_LOGGER.warning("Setting attribute on ended span.")
        elif (
            PLAIN.issuperset(map(type, attributes.values()))
            and TEXT.issuperset(map(type, attributes))
            and "" not in attributes
            and values.keys().isdisjoint(attributes)
            and limits.max_span_attribute_length is None
            and (limits.max_span_attributes is None or len(values) + len(attributes) <= limits.max_span_attributes)
        ):
            values.update(attributes)
        else:
            self._clean_all(attributes)

    def stamp(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set those of *attributes*, which are clean, that the span does not have yet; it has not ended."""
        values, limits = self._values, self._limits
        if values and not values.keys().isdisjoint(attributes):
            attributes = {key: value for key, value in attributes.items() if key not in values}
        if limits.max_span_attribute_length is None and (
            limits.max_span_attributes is None or len(values) + len(attributes) <= limits.max_span_attributes
        ):
            values.update(attributes)
        else:
            self.set_attributes(attributes)

    def rewrite(self, attributes: Mapping[str, AnyValue], old: Mapping[str, AnyValue]) -> bool:
        """Set *attributes*, but for those that the span has from others; *old* is ours. Tell whether it records."""
        if self._end_time is not None:
            return False
        values = self._values
        if not values.keys().isdisjoint(attributes):
            # One look: another thread may take a value out between two, to put its own in.
            attributes = {
                k: value for k, value in attributes.items() if values.get(k, _ABSENT) in (_ABSENT, old.get(k))
            }
        self.set_attributes(attributes)
        return True

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add one event."""
        told, limits, given = self._told, self._limits, attributes or {}
        if (
            self._end_time is None
            and PLAIN.issuperset(map(type, given.values()))
            and TEXT.issuperset(map(type, given))
            and "" not in given
            and limits.max_attribute_length is None
            and (limits.max_event_attributes is None or len(given) <= limits.max_event_attributes)
            and (limits.max_events is None or len(told) < limits.max_events)
        ):
            told.append((name, dict(given), time_ns() if timestamp is None else timestamp))
        else:
            self._add_unusual_event(name, attributes, timestamp)

    def contents(self) -> SpanContents:
        """Return all that the span has to say, in one call for what are 13 properties."""
        return (
            self._context,
            self._parent,
            self._name,
            self._kind,
            self._start_time,
            self._end_time,
            # Once it has ended nobody writes to them.
            self._values.copy() if self._end_time is None else self._values,
            self._dropped,
            self.events if self._told else (),
            self._dropped_events,
            () if self._linked is None else self.links,
            0 if self._linked is None else self.dropped_links,
            self._status,
        )

    def start(self, start_time: int | None = None, parent_context: Context | None = None) -> None:
        """Begin, and tell the processors."""
        if self._start_time is not None:
            SDK_LOGGER.warning("Calling start() on a started span.")
            return
        self._start_time = time_ns() if start_time is None else start_time
        for processor in processors_of(self._span_processor).on_start:
            processor.on_start(self, parent_context=parent_context)

    def end(self, end_time: int | None = None) -> None:
        """End, and tell the processors."""
        try:
            self._open.pop()
        except IndexError:
            SDK_LOGGER.warning("Calling end() on an ended span.")
            return
        self._end_time = time_ns() if end_time is None else end_time
        # Who has the lock may have taken something out, to put it back in another place. Who takes it from here on sees
        # the end, and leaves all as it is.
        if self._made_lock is None:
            self._keep()
        else:
            with self._made_lock:
                self._keep()
        if self._record_end_metrics is not None:
            self._record_end_metrics()
        processors = processors_of(self._span_processor)
        for processor in processors.on_ending:
            processor._on_ending(self)  # noqa: SLF001 - as `Span.end` calls it
        for processor in processors.on_end:
            processor.on_end(self)

    def _keep(self) -> None:
        self._values = self._values.copy()
        self._told = self._told.copy()
