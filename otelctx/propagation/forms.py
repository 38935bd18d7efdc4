"""
Forms: the headers of a place, as they are written for one destination.

Between two writes of a request its form is made once for all destinations of one rule; calls go to few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from otelctx.core.layers import Layer
from otelctx.core.redaction import Memo, View
from otelctx.core.registry import registry
from otelctx.propagation import sealing
from otelctx.propagation.edge import VISIBLE
from otelctx.propagation.egress import Decision
from otelctx.propagation.outgoing import is_bare, outgoing, selected


class Form(NamedTuple):
    """
    What is written.

    Attributes:
        baggage: the header, or an empty text.
        headers: those of fields, names and texts.
        left_out: keys of the members that did not fit.
    """

    baggage: str
    headers: Sequence[tuple[str, str]]
    left_out: Sequence[str]


_NOTHING: Final = Form("", (), ())


def form_of(layer: Layer, decision: Decision) -> Form:
    """Return what is written of *layer* under *decision*; between two writes of a request it is made once."""
    request = layer.request
    if request is None or not decision.fields or not is_bare(layer) or sealing.sealer() is not None:
        return _formed(layer, decision)
    forms: dict[frozenset[str], Form] = request.shown(_no_forms, registry().on_wire)  # type: ignore[assignment]
    found = forms.get(decision.fields)
    if found is None:
        found = _formed(layer, decision)
        if not found.left_out:  # what is left out is counted each time
            forms[decision.fields] = found
    return found


def _no_forms(_values: Mapping[str, object], _view: View, _memo: Memo) -> dict[str, Any]:
    """Return the forms of some values by the fields that a rule names: none so far."""
    return {}


def _formed(layer: Layer, decision: Decision) -> Form:
    members = outgoing(layer, decision)
    if not members:
        return _NOTHING
    header, left_out = sealing.encode(members, layer.properties())
    headers = [
        (name, text)
        for name, key in selected(decision.fields, registry()).headers
        # What would need an encoding, or is encrypted, travels in baggage alone.
        if (text := members.get(key)) is not None and VISIBLE.fullmatch(text) and not sealing.hides(key)
    ]
    return Form(header, headers, left_out)
