"""
What a request starts with, made of what came in: only what a field declares and accepts becomes a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter

from otelctx.core.fields import Field
from otelctx.core.layers import Layer
from otelctx.core.registry import registry
from otelctx.core.reports import report
from otelctx.core.request import Request
from otelctx.core.state import baggage_in, with_layer
from otelctx.core.values import wire_text
from otelctx.propagation.admission import Admission
from otelctx.propagation.peers import PEER_KEY
from otelctx.propagation.sealing import Incoming, opened, sealer


def received(
    carrier: CarrierT,
    context: Context,
    getter: Getter[CarrierT],
    admission: Admission,
    *,
    members: Mapping[str, str] | None = None,
    properties: Mapping[str, str] | None = None,
) -> Context:
    """
    Return *context* in the request that came in *carrier*.

    Args:
        context: what propagators have read from it so far; its baggage counts, in whatever form it came.
        admission: what is adopted of all that.
        members: baggage members that are not in the context.
        properties: those of *members*, as `codec.decode` returns them.
    """
    found = {key: str(value) for key, value in baggage_in(context).items()}
    headers = {header: values for header in registry().headers if (values := getter.get(carrier, header))}
    came = Incoming({**found, **(members or {})}, properties or {}, headers)
    broken = None
    if sealer() is not None:
        came, broken = opened(came, required=admission.needs_seal)
    request = request_from(*admission.fields(came.members, came.headers), came.properties)
    request = admission.begun(request)
    request.broken_seal = broken
    return in_request(context, request)


def in_request(context: Context, request: Request) -> Context:
    """Return *context*, which a carrier was read into, in *request*."""
    result = with_layer(context, Layer(request))
    dict.pop(result, PEER_KEY, None)
    return result


def unreadable(carrier: object, context: Context) -> Context:
    """Return *context* with a new request, after *carrier* could not be read; that is counted and reported."""
    report("extract.failed", "A carrier of type %s could not be read", type(carrier).__name__)
    return in_request(context, Request())


def unwritable(carrier: object) -> None:
    """Count and report that *carrier* could not be written."""
    report("inject.failed", "A carrier of type %s could not be written", type(carrier).__name__)


def request_from(
    members: Mapping[str, str], headers: Mapping[str, Sequence[str]], properties: Mapping[str, str] | None = None
) -> Request:
    """
    Open the request that came with baggage *members* and field *headers*; a header counts more than a member.

    Args:
        members: by baggage key; those that no field declares are carried on as they are.
        headers: by header name, each with all its values. Several of one name are nobody's clear word.
        properties: by baggage key, those of members.
    """
    declared = registry()
    values: dict[str, object] = {}
    carried: dict[str, str] = {}
    for key, text in members.items():
        field = declared.by_key.get(key)
        if field is None:
            carried[key] = text
        else:
            _keep(values, field, text)
    kept = _properties(properties, values, carried) if properties else None
    for header, found in headers.items():
        if len(found) == 1:
            _keep(values, declared.headers[header], found[0].strip(" \t"))
    return Request(values, carried, kept)


def _properties(
    properties: Mapping[str, str], values: Mapping[str, object], carried: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    by_key = registry().by_key
    kept: dict[str, tuple[str, str]] = {}
    for key, rest in properties.items():
        field = by_key.get(key)
        value = carried.get(key) if field is None else values.get(field.name)
        if value is not None:
            # As it would be sent: `05` came, 5 is the value and leaves as such.
            kept[key] = (wire_text(value), rest)
    return kept


def _keep(values: dict[str, object], field: Field, text: str) -> None:
    value = field.accept(text) if text else None
    if value is not None:
        values[field.name] = value
