"""
The attributes of a span: in a plain dict, and cleaned only where they are not clean as they come.

They keep the limits and the promises of the SDK's `BoundedAttributes`. A write is one operation of a dict, atomic with
and without the GIL; a lock is taken where more than that has to hold together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from threading import RLock
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import Span
from opentelemetry.util.types import AnyValue, Attributes

from otelctx.signals.clean import PLAIN, TEXT

# What an application knows from the SDK about the misuse of spans comes from the SDK's logger.
SDK_LOGGER: Final = logging.getLogger("opentelemetry.sdk.trace")


_ABSENT: Final = object()


class Attributed(Span):
    """A span of the SDK's kind that has its attributes in a dict."""

    _end_time: int | None = None
    _dropped = 0
    _values: dict[str, AnyValue]
    _made_lock: Any = None

    @property
    def _lock(self) -> Any:  # type: ignore[override] # the SDK's methods take it; most spans need none
        # One operation, so that there is never another one. What runs while it is held may want it
        # too: the text of a value, a signal handler.
        return self._made_lock or vars(self).setdefault("_made_lock", RLock())

    # A writer takes the dict first and looks then whether the span has ended. `end` does it the other way round, so
    # that a write which comes too late goes into a dict that nobody exports.

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
            self._clean(BoundedAttributes.__setitem__, key, value)

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
            self._clean(BoundedAttributes._set_items, attributes)  # noqa: SLF001 - as `Span.set_attributes` does it

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

    def _clean(self, write: Callable[..., None], *arguments: Any) -> None:
        """Leave to the SDK what is not a plain new value: it cleans it, keeps the limits and says what was wrong."""
        with self._lock:
            bounded = self._attributes
            if self._end_time is not None:
                SDK_LOGGER.warning("Setting attribute on ended span.")
                return
            write(bounded, *arguments)
            self._dropped = bounded.dropped

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

    # Code of others reaches for this, to read and, when it redacts, to replace.

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
