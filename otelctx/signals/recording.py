"""
The span that records: the SDK's own kind, with its attributes in a plain dict and nothing made before it is needed.

It keeps every promise of an `opentelemetry.sdk.trace.Span`: limits, events, links, status, the hooks of processors. It
ends once, whoever ends it, and takes no lock for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Event, EventBase, ReadableSpan, Span
from opentelemetry.trace import Link
from opentelemetry.util.types import AnyValue, Attributes

from otelctx.signals.span_state import SDK_LOGGER, SpanState


class RecordingSpan(SpanState, Span):  # type: ignore[misc, override]
    """A span that records; `otelctx.signals.tracing` makes it past the SDK's ``__new__``, which allows none by hand."""

    _trace_config = None

    def link(self, links: Sequence[Link]) -> None:
        """Add *links*, those that are valid."""
        self._linked = self._new_links(links)

    # What is not plain and new is left to the SDK: it cleans it, keeps the limits and says what was wrong.

    def _clean_value(self, key: str, value: AnyValue) -> None:
        self._clean(BoundedAttributes.__setitem__, key, value)

    def _clean_all(self, attributes: Mapping[str, AnyValue]) -> None:
        self._clean(BoundedAttributes._set_items, attributes)  # noqa: SLF001 - as `Span.set_attributes` does it

    def _clean(self, write: Callable[..., None], *arguments: Any) -> None:
        with self._lock:
            bounded = self._attributes
            if self._end_time is not None:
                SDK_LOGGER.warning("Setting attribute on ended span.")
                return
            write(bounded, *arguments)
            self._dropped = bounded.dropped

    def _add_unusual_event(self, name: str, attributes: Attributes, timestamp: int | None) -> None:
        Span.add_event(self, name, attributes, timestamp)

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
    def _links(self) -> Any:
        # Most spans have none.
        if self._linked is None:
            self._linked = self._new_links(())
        return self._linked

    @_links.setter
    def _links(self, links: Any) -> None:
        self._linked = links

    @property
    def links(self) -> Sequence[Link]:
        """The links of now."""
        return () if self._linked is None else tuple(self._linked)

    @property
    def dropped_links(self) -> int:
        """How many links were left out for the limit."""
        return 0 if self._linked is None else super().dropped_links

    @property
    def _attributes(self) -> BoundedAttributes:
        limits = self._limits
        bounded = BoundedAttributes(
            limits.max_span_attributes, None, immutable=False, max_value_len=limits.max_span_attribute_length
        )
        bounded._dict = self._values  # noqa: SLF001 - the SDK's class has no way to wrap a dict
        bounded.dropped = self._dropped
        bounded._immutable = self._end_time is not None  # noqa: SLF001 - as `Span.end` does it
        return bounded

    @_attributes.setter
    def _attributes(self, attributes: Attributes) -> None:
        self._values = dict(attributes or {})
        self._dropped = getattr(attributes, "dropped", 0)

    @property
    def attributes(self) -> Attributes:
        """The attributes of now."""
        if self._end_time is not None:
            return MappingProxyType(self._values)
        if self._made_lock is None:
            return MappingProxyType(self._values.copy())
        with self._made_lock:
            return MappingProxyType(self._values.copy())

    @property
    def dropped_attributes(self) -> int:
        """How many attributes were left out for the limit."""
        return self._dropped

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
