"""
Attributes: the fields of a place, under the names that telemetry shows them by.

Explicit attributes win: what a span or record already says of itself is never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.util.types import AttributeValue

from otelctx.core.layers import Layer
from otelctx.core.redaction import Memo, View
from otelctx.core.values import attribute_value
from otelctx.native import compiled

# Names attributes that are fields, so that a reader of the trace can tell them from the code's own: those that a
# binding gave.
FIELDS: Final = "otelctx.fields"


def attributes_of(layer: Layer, view: View, *, once: bool = False) -> Mapping[str, AttributeValue]:
    """
    Return all of *layer* that *view* shows, by attribute name, clean as a span has them; not to be changed.

    Args:
        once: they will hardly be asked for again before something changes, and are not kept for that.
    """
    request = layer.request
    if layer.parent is None and not layer.bound and request is not None:
        return named(request.values.copy(), view, request.hashes) if once else request.shown(named, view)
    attributes = named(layer.visible(), view, layer.hashes())
    bound = layer.bound_names()
    if bound:
        shown = (name for name in bound if name not in view.hidden and (view.only is None or name in view.only))
        attributes[FIELDS] = tuple(sorted(view.names.get(name, name) for name in shown))
    return attributes


@compiled
def named(values: Mapping[str, object], view: View, hashes: Memo) -> dict[str, AttributeValue]:
    """Return what *view* shows of *values*, by attribute name; *hashes* are those of the request."""
    names, hidden = view.names, view.hidden
    if view.only is not None:
        hidden = hidden | (values.keys() - view.only)
    attributes: dict[str, AttributeValue] = {}
    for name, value in values.items():
        shown: AttributeValue | None = value if type(value) is str else attribute_value(value)
        if shown is not None and name not in hidden:
            attributes[names.get(name, name)] = shown
    for name, alter in view.altered.items():
        attribute = names.get(name, name)
        clear = attributes.get(attribute)
        if clear is not None:
            attributes[attribute] = alter(clear, hashes)
    return attributes
