"""
What leaves the process: the baggage of a place as the wire is to have it.

In the process baggage is clear, as `opentelemetry.baggage.get_all` shows it.
"""

from __future__ import annotations

from opentelemetry.context import Context, get_current

from otelctx.core.layers import Layer
from otelctx.core.registry import registry
from otelctx.core.state import current_layer, with_layer


def outgoing(layer: Layer) -> dict[str, str]:
    """Return the members that leave from *layer*, by baggage key."""
    members = layer.wire()
    registry().on_wire.redact(members)
    return members


def outgoing_context(context: Context | None) -> Context | None:
    """Return *context*, the current one unless given, with no more baggage in it than may leave; for propagators."""
    view = registry().on_wire
    layer = current_layer(context) if view.hidden or view.altered else None
    if layer is None:
        return context
    here = get_current() if context is None else context
    return with_layer(here, Layer(None, members={**outgoing(layer)}))
