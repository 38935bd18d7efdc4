"""
Admission: the inbound policy, applied to what one carrier brought.

Only what a field declares and accepts becomes a value. What is refused is counted; a field by its name, and what no
field declares without one. No value is ever told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, SpanContext

from otelctx.core.fields import Field
from otelctx.core.here import span_in, with_span
from otelctx.core.registry import registry
from otelctx.core.reports import count, report
from otelctx.core.request import RECEIVED, Request
from otelctx.core.values import wire_text
from otelctx.propagation.carriers import Headers
from otelctx.propagation.ingress import Mode, Trust

_WHERE: Final = "; [otelctx.ingress] says what is accepted of whom"


def not_continued(mode: Mode, before: Context, read: Context) -> tuple[Context, SpanContext | None]:
    """
    Return *read*, which propagators made of *before*, without the remote span in it, and what is to be linked to.

    Args:
        mode: what becomes of the trace instead.
    """
    remote = span_in(read).get_span_context()
    if not remote.is_remote:
        return read, None
    count(f"ingress.trace_{mode.name.lower()}")
    here = span_in(before)
    # One that was remote before was read from the same carrier, by a propagator in front of this one.
    result = with_span(read, INVALID_SPAN if here.get_span_context().is_remote else here)
    return result, remote if mode is Mode.RESTART else None


def admitted(trust: Trust, members: Mapping[str, str], properties: Mapping[str, str], headers: Headers) -> Request:
    """
    Open the request that came in a carrier of whom *trust* is believed; a header counts more than a member.

    Args:
        members: of baggage, by key; those that no field declares are carried on as they are.
        properties: by key, those of *members*, as `codec.decode` returns them.
        headers: by name; of those of fields, several of one name are nobody's clear word.
    """
    declared = registry()
    if trust.baggage is Mode.IGNORE:
        if members or not headers.keys().isdisjoint(declared.headers):
            count("ingress.baggage_ignore")
        return Request()
    allowed = trust.fields
    values, carried = _of_members(members, declared.by_key, allowed)
    kept = _properties(properties, values, carried) if properties else None
    for name, field in declared.headers.items():
        texts = headers.get(name)
        if texts is None:
            continue
        if allowed is not None and field.name not in allowed and field.baggage_key not in allowed:
            _refuse(field)
        elif len(texts) == 1 and (text := texts[0].strip(" \t")) and values.get(field.name) != text:
            # Else it is what the member says, which is accepted already, as in nearly all messages of ours.
            value = field.accept(text)
            if value is not None:
                values[field.name] = value
    request = Request(values, carried, kept)
    return _restarted(request) if trust.baggage is Mode.RESTART else request


def _of_members(
    members: Mapping[str, str], by_key: Mapping[str, Field], allowed: frozenset[str] | None
) -> tuple[dict[str, object], dict[str, str]]:
    values: dict[str, object] = {}
    carried: dict[str, str] = {}
    undeclared = 0
    for key, text in members.items():
        field = by_key.get(key)
        if field is None:
            if allowed is None:
                carried[key] = text
            else:
                undeclared += 1
        elif allowed is not None and field.name not in allowed and key not in allowed:
            _refuse(field)
        elif text and (value := field.accept(text)) is not None:
            values[field.name] = value
    if undeclared:
        report("ingress.refused", "%d undeclared members of a peer were refused%s", undeclared, _WHERE)
    return values, carried


def _refuse(field: Field) -> None:
    report(f"ingress.refused.{field.name}", "Field %r of a peer was refused%s", field.name, _WHERE)


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


def _restarted(came: Request) -> Request:
    """Return a request that begins anew, in the place of *came* if anything came."""
    if RECEIVED not in came.origins.values() and not came.carried:
        return came
    count("ingress.baggage_restart")
    generated = {field.name for field in registry().generated}
    request = Request()
    request.former = {
        name: came.values[name] for name, origin in came.origins.items() if origin == RECEIVED and name in generated
    }
    return request
