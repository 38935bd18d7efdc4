"""
Fields on metrics: only those that opted in, and never more than so many values of each.

Each value of a field makes a time series of its own. Past the bound of a field its further values show as ``other``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram

from otelctx.core.fields import Field
from otelctx.core.layers import ABSENT
from otelctx.core.registry import registry
from otelctx.core.reports import report
from otelctx.core.state import current_layer
from otelctx.core.values import attribute_value

OTHER: Final = "other"

_seen: dict[str, set[object]] = {}


def metric_attributes(context: Context | None = None) -> dict[str, Any]:
    """Return the opted-in fields of *context*, the current one unless given, by attribute name."""
    declared = registry()
    layer = current_layer(context) if declared.on_metrics else None
    if layer is None:
        return {}
    attributes: dict[str, Any] = {}
    altered = declared.in_metrics.altered
    for field in declared.on_metrics:
        value = layer.find(field.name)
        if value is not None and value is not ABSENT:
            shown = altered[field.name](value, layer.hashes()) if field.name in altered else attribute_value(value)
            attributes[field.attribute_name] = _bounded(field, shown)
    return attributes


def _bounded(field: Field, value: object) -> object:
    seen = _seen.setdefault(field.name, set())
    if value in seen:
        return value
    if len(seen) >= field.metric_limit:
        report("metrics.other", "Field %r has over %d values; more of them show as 'other'", field.name, len(seen))
        return OTHER
    seen.add(value)
    return value


class FieldHistogram:
    """A histogram that adds the opted-in fields, and what else is known by then, to what another one records."""

    __slots__ = ("_inner", "_more")

    def __init__(self, inner: Histogram, more: Mapping[str, Any]) -> None:
        """Record into *inner*, with the attributes that *more* holds at that time."""
        self._inner = inner
        self._more = more

    def record(
        self, amount: float, attributes: Mapping[str, Any] | None = None, context: Context | None = None
    ) -> None:
        """Record *amount* with *attributes*, which win."""
        self._inner.record(amount, {**metric_attributes(context), **self._more, **(attributes or {})}, context=context)
