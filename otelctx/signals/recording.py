"""
The span that records: the SDK's own kind, with its attributes in a plain dict and nothing made before it is needed.

It keeps every promise of an `opentelemetry.sdk.trace.Span`: limits, events, links, status, the hooks of processors. It
ends once, whoever ends it, and takes no lock for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from time import time_ns
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, EventBase, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AnyValue, Attributes

from otelctx.signals.attributed import SDK_LOGGER, Attributed
from otelctx.signals.clean import PLAIN, TEXT, Clean
from otelctx.signals.processors import processors_of

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
_Told: TypeAlias = "Event | tuple[str, dict[str, AnyValue], int]"


class RecordingSpan(Attributed):
    """A span that records; `otelctx.signals.tracing` makes it past the SDK's ``__new__``, which allows none by hand."""

    # What most spans keep as it is, once for all of them.
    _status = Status(StatusCode.UNSET)
    _start_time: int | None = None
    _trace_config = None
    _dropped_events = 0
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics: Callable[[], None] | None = None  # None where nobody counts

    # Asked of each span by its processors; these ask without a call.
    context = property(attrgetter("_context"), doc="What identifies the span.")  # pyright: ignore[reportIncompatibleMethodOverride]
    parent = property(attrgetter("_parent"), doc="What identifies its parent.")  # pyright: ignore[reportIncompatibleMethodOverride]
    kind = property(attrgetter("_kind"), doc="Its kind.")  # pyright: ignore[reportIncompatibleMethodOverride]

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
        # Whoever takes this out ends the span: without a lock, and once.
        self._open = [True]
        self._told: list[_Told] = []
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

    def __getattr__(self, name: str) -> Any:
        """Make what most spans have none of when it is first asked for."""
        if name == "_links":
            self._links = self._new_links(())
            return self._links
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def get_span_context(self) -> SpanContext:
        """Return what identifies the span."""
        return self._context  # type: ignore[return-value]

    def link(self, links: Sequence[Link]) -> None:
        """Add *links*, those that are valid."""
        self._links = self._new_links(links)

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
            # The list from before the look: as with the values, what comes too late goes where nobody looks.
            told.append((name, dict(given), time_ns() if timestamp is None else timestamp))
        else:
            super().add_event(name, attributes, timestamp)

    def _add_event(self, event: EventBase) -> None:
        told = self._told
        with self._lock:
            if self._end_time is not None:
                SDK_LOGGER.warning("Tried calling _add_event on an ended span.")
                return
            told.append(cast("Event", event))  # there is no other kind
            while self._limits.max_events is not None and len(told) > self._limits.max_events:
                del told[0]
                self._dropped_events += 1

    # Code of others reaches for these, to read and, when it redacts, to replace.

    @property
    def _events(self) -> Sequence[Event]:
        return self.events

    @_events.setter
    def _events(self, events: Sequence[Event]) -> None:
        self._told = list(events)

    @property
    def events(self) -> Sequence[Event]:
        """The events of now."""
        made = tuple(told if isinstance(told, Event) else _event(*told) for told in tuple(self._told))
        if self._end_time is not None:
            self._told = list(made)
        return made

    @property
    def dropped_events(self) -> int:
        """How many events were left out for the limit."""
        return self._dropped_events

    @property
    def links(self) -> Sequence[Link]:
        """The links of now."""
        return tuple(self._links) if "_links" in self.__dict__ else ()

    @property
    def dropped_links(self) -> int:
        """How many links were left out for the limit."""
        return super().dropped_links if "_links" in self.__dict__ else 0

    def contents(self) -> SpanContents:
        """Return all that the span has to say, in one call for what are 13 properties."""
        inside = self.__dict__
        return (
            self._context,  # type: ignore[return-value]
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
            self.links if "_links" in inside else (),
            self.dropped_links if "_links" in inside else 0,
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

    def _readable_span(self) -> ReadableSpan:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ReadableSpan:
        """Return what the span has to say, as a processor that redacts may want to change it."""
        events = [Event(event.name, dict(event.attributes or {}), event.timestamp) for event in self.events]
        return ReadableSpan(
            name=self._name,
            context=self._context,
            parent=self._parent,
            resource=self._resource,
            attributes=dict(self._values),
            events=events,
            links=self.links,
            kind=self._kind,
            instrumentation_info=self._instrumentation_info,
            status=self._status,
            start_time=self._start_time,
            end_time=self._end_time,
            instrumentation_scope=self._instrumentation_scope,
        )


def _event(name: str, attributes: dict[str, AnyValue], timestamp: int) -> Event:
    return Event(name, MappingProxyType(attributes), timestamp)
