"""
Admission: the inbound policy, applied to one carrier.

What is refused is counted; a field by its name, and what no field declares without one. No value is ever told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter
from opentelemetry.trace import INVALID_SPAN, SpanContext, get_current_span, set_span_in_context

from otelctx.core.fields import Field
from otelctx.core.registry import registry
from otelctx.core.reports import count, report
from otelctx.core.request import RECEIVED, Request
from otelctx.propagation.ingress import Mode, believed

T = TypeVar("T")

_WHERE: Final = "; [otelctx.ingress] says what is accepted of whom"


class Admission:
    """What is adopted of a carrier, or kept as a relation."""

    __slots__ = ("_link", "_trust")

    def __init__(self, carrier: CarrierT, context: Context, getter: Getter[CarrierT]) -> None:
        """Find out what is believed of whom *carrier* came from."""
        self._trust = believed(carrier, context, getter)
        self._link: SpanContext | None = None

    @property
    def needs_seal(self) -> bool:
        """Whether fields are adopted only with a valid seal."""
        return self._trust.sealed

    def trace(self, before: Context, read: Context) -> Context:
        """Return *read*, which propagators made of *before*, with the remote span in it only if that is adopted."""
        mode = self._trust.trace
        if mode is Mode.CONTINUE:
            return read
        remote = get_current_span(read).get_span_context()
        if not remote.is_remote:
            return read
        count(f"ingress.trace_{mode.name.lower()}")
        if mode is Mode.RESTART:
            self._link = remote
        here = get_current_span(before)
        # One that was remote before was read from the same carrier, by a propagator in front of this one.
        return set_span_in_context(INVALID_SPAN if here.get_span_context().is_remote else here, read)

    def fields(
        self, members: Mapping[str, str], headers: Mapping[str, Sequence[str]]
    ) -> tuple[Mapping[str, str], Mapping[str, Sequence[str]]]:
        """Return those of baggage *members*, by key, and field *headers*, by name, that are accepted."""
        if self._trust.baggage is Mode.IGNORE:
            if members or headers:
                count("ingress.baggage_ignore")
            return {}, {}
        if self._trust.fields is None:
            return members, headers
        declared = registry()
        return self._accepted(members, declared.by_key), self._accepted(headers, declared.headers)

    def _accepted(self, found: Mapping[str, T], fields: Mapping[str, Field]) -> dict[str, T]:
        allowed = self._trust.fields or frozenset()
        accepted: dict[str, T] = {}
        undeclared = 0
        for key, value in found.items():
            field = fields.get(key)
            if field is None:
                undeclared += 1
            elif field.name in allowed or field.baggage_key in allowed:
                accepted[key] = value
            else:
                _refuse(field)
        if undeclared:
            report("ingress.refused", "%d undeclared members of a peer were refused%s", undeclared, _WHERE)
        return accepted

    def begun(self, request: Request) -> Request:
        """Return *request*, which came in, or the one that begins anew in its place."""
        if self._trust.baggage is Mode.RESTART and (RECEIVED in request.origins.values() or request.carried):
            count("ingress.baggage_restart")
            former = {name: request.values[name] for name, origin in request.origins.items() if origin == RECEIVED}
            generated = {field.name for field in registry().generated}
            request = Request()
            request.former = {name: value for name, value in former.items() if name in generated}
        request.link = self._link
        return request


def _refuse(field: Field) -> None:
    report(f"ingress.refused.{field.name}", "Field %r of a peer was refused%s", field.name, _WHERE)
