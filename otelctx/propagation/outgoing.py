"""
What leaves the process: the baggage of a place as the wire is to have it, for one destination.

In the process baggage is clear and whole, as `opentelemetry.baggage.get_all` shows it.
"""

from __future__ import annotations

from opentelemetry.context import Context, get_current

from otelctx.core.layers import Layer
from otelctx.core.registry import registry
from otelctx.core.state import current_layer, with_layer
from otelctx.propagation.egress import Decision
from otelctx.propagation.sealing import hides, is_encrypting
from otelctx.propagation.unknown import withheld


def outgoing(layer: Layer, decision: Decision) -> dict[str, str]:
    """Return the members that leave from *layer* under *decision*, by baggage key."""
    if not decision.fields:
        if not decision.is_named:
            withheld()
        return {}
    members = layer.wire()
    if not decision.everything:
        by_key = registry().by_key
        for key in [key for key in members if not decision.allows(by_key[key].name if key in by_key else key)]:
            del members[key]
    registry().on_wire.redact(members, layer.hashes())
    return members


def outgoing_context(context: Context | None, decision: Decision) -> Context | None:
    """Return *context*, the current one unless given, with no more baggage in it than may leave; for propagators."""
    view = registry().on_wire
    is_whole = decision.everything and not (view.hidden or view.altered or is_encrypting())
    layer = None if is_whole else current_layer(context)
    if layer is None:
        return context
    here = get_current() if context is None else context
    members = outgoing(layer, decision)
    return with_layer(here, Layer(None, members={key: text for key, text in members.items() if not hides(key)}))
