"""
What leaves the process: the baggage of a place as the wire is to have it, for one destination.

In the process baggage is clear and whole, as `opentelemetry.baggage.get_all` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from opentelemetry.context import Context, get_current

from otelctx.core.fields import Field
from otelctx.core.layers import Layer
from otelctx.core.registry import Registry, registry
from otelctx.core.state import current_layer, with_layer
from otelctx.core.values import wire_text
from otelctx.propagation import sealing
from otelctx.propagation.egress import Decision
from otelctx.propagation.unknown import withheld

# Of rules and declarations there are few.
_REMEMBERED: Final = 256


class Selection(NamedTuple):
    """
    What a rule lets go of what is declared.

    Attributes:
        ahead, behind: names and baggage keys of the fields that leave before and after undeclared members.
        undeclared: the keys that may leave of members that no field declares; None for all.
        headers: names of headers, and the keys of the members that they have too.
        is_redacted: the wire does not have all values as they are.
    """

    ahead: tuple[tuple[str, str], ...]
    behind: tuple[tuple[str, str], ...]
    undeclared: frozenset[str] | None
    headers: tuple[tuple[str, str], ...]
    is_redacted: bool


@lru_cache(maxsize=_REMEMBERED)
def selected(fields: frozenset[str], declared: Registry) -> Selection:
    """Return what *fields*, those of a decision, let go of what is *declared*."""
    everything = "*" in fields

    def pairs(of: Sequence[Field]) -> tuple[tuple[str, str], ...]:
        return tuple((field.name, field.baggage_key) for field in of if everything or field.name in fields)

    # A member may have come under the key of a field, before that was declared.
    named = {key for key, field in declared.by_key.items() if field.name in fields}
    keys = frozenset(named | fields - declared.by_key.keys())
    view = declared.on_wire
    return Selection(
        pairs(declared.ahead),
        pairs(declared.behind),
        None if everything else keys,
        tuple((name, field.baggage_key) for name, field in declared.headers.items()),
        bool(view.hidden or view.altered),
    )


def outgoing(layer: Layer, decision: Decision) -> dict[str, str]:
    """Return the members that leave from *layer* under *decision*, by baggage key, the most important first."""
    if not decision.fields:
        if not decision.is_named:
            withheld()
        return {}
    declared = registry()
    selection = selected(decision.fields, declared)
    request = layer.request
    if request is not None and is_bare(layer):
        # Copied, since another thread may write to the request meanwhile.
        values, undeclared = request.values.copy(), request.carried
    else:
        values, undeclared = layer.visible(), layer.undeclared()
    members: dict[str, str] = {}
    _add(members, selection.ahead, values)
    if undeclared:
        allowed = selection.undeclared
        for key, text in undeclared.items():
            if allowed is None or key in allowed:
                members.setdefault(key, text)
    if selection.behind:
        _add(members, selection.behind, values)
    if selection.is_redacted:
        declared.on_wire.redact(members, layer.hashes())
    return members


def is_bare(layer: Layer) -> bool:
    """Tell whether *layer* shows its request, and nothing else."""
    return layer.parent is None and not layer.bound and not layer.members


def _add(members: dict[str, str], pairs: tuple[tuple[str, str], ...], values: Mapping[str, object]) -> None:
    for name, key in pairs:
        value = values.get(name)
        if value is not None:
            members[key] = value if type(value) is str else wire_text(value)


def outgoing_context(context: Context | None, decision: Decision) -> Context | None:
    """Return *context*, the current one unless given, with no more baggage in it than may leave; for propagators."""
    view = registry().on_wire
    is_whole = decision.everything and not (view.hidden or view.altered or sealing.is_encrypting())
    layer = None if is_whole else current_layer(context)
    if layer is None:
        return context
    here = get_current() if context is None else context
    members = outgoing(layer, decision)
    kept: dict[str, str | None] = {key: text for key, text in members.items() if not sealing.hides(key)}
    return with_layer(here, Layer(None, members=kept))
