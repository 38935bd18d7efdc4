"""
Forms: the headers of a place, as they are written for one destination.

Between two writes of a request its form is made once for the destinations of one rule; most calls go to such.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from otelctx.core.layers import Layer
from otelctx.core.registry import registry
from otelctx.propagation import sealing
from otelctx.propagation.edge import is_visible
from otelctx.propagation.egress import Decision
from otelctx.propagation.outgoing import is_bare, outgoing, selected

# The baggage header or an empty text, names and texts of the headers of fields, and keys of members that did not fit.
Form: TypeAlias = tuple[str, Sequence[tuple[str, str]], Sequence[str]]

_NOTHING: Final[Form] = ("", (), ())


def form_of(layer: Layer, decision: Decision) -> Form:
    """Return what is written of *layer* under *decision*."""
    request = layer.request
    if request is None or not decision.fields or not is_bare(layer) or sealing.sealer() is not None:
        return _formed(layer, decision)
    # Read before the values are: what is written meanwhile is not taken for what was there before.
    version, declared, kept = request.version, registry(), request.sent
    if kept is not None and kept[0] is version and kept[1] is declared and kept[2] is decision.fields:
        found: Form = kept[3]
        return found
    form = _formed(layer, decision)
    if not form[2]:  # what is left out is counted each time
        request.sent = (version, declared, decision.fields, form)
    return form


def _formed(layer: Layer, decision: Decision) -> Form:
    members = outgoing(layer, decision)
    if not members:
        return _NOTHING
    header, left_out = sealing.encode(members, layer.properties())
    headers = [
        (name, text)
        for name, key in selected(decision.fields, registry()).headers
        # What would need an encoding, or is encrypted, travels in baggage alone.
        if (text := members.get(key)) is not None and is_visible(text) and not sealing.hides(key)
    ]
    return header, headers, left_out
