"""
Receiving: one carrier is read, judged by whom it came from, and goes on as a request. Nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, TextMapPropagator
from opentelemetry.trace import Span

from otelctx.core.here import SPAN_KEY, put, with_span
from otelctx.core.layers import Layer
from otelctx.core.registry import registry
from otelctx.core.request import Request
from otelctx.core.state import baggage_in, with_layer
from otelctx.native import compiled
from otelctx.propagation import codec
from otelctx.propagation.admission import admitted, not_continued
from otelctx.propagation.carriers import BAGGAGE, headers_in, unreadable
from otelctx.propagation.edge import continued, opened_for
from otelctx.propagation.ingress import Mode, believed
from otelctx.propagation.peers import PEER_KEY, reader_of
from otelctx.propagation.sealing import Incoming, opened, sealer
from otelctx.propagation.trace_context import remote_span

_NONE: Final[Mapping[str, str]] = {}


@compiled
def received(
    carrier: CarrierT,
    context: Context | None,
    getter: Getter[CarrierT],
    others: Iterable[TextMapPropagator],
    *,
    w3c: bool,
) -> Context:
    """
    Return *context*, an empty one unless given, in the request that came in *carrier*.

    Args:
        others: propagators of other formats; what they read passes the same policy.
        w3c: W3C Trace Context and Baggage are read too; of two traces this one counts.
    """
    result = Context() if context is None else context
    span: Span | None = None
    try:
        before = opened_for(carrier)
        if before is not None:
            return continued(before)
        reader = reader_of(type(getter))
        headers = headers_in(carrier, getter, with_forwarded=reader is not None)
        trust = believed(carrier, result, reader, headers)
        read = result
        for other in others:
            read = other.extract(carrier, read, getter)
        if w3c:
            span = remote_span(headers, carrier, getter)
        link = None
        if trust.trace is not Mode.CONTINUE:
            read, link = not_continued(trust.trace, result, read if span is None else with_span(read, span))
            span = None
        result = read
        members = properties = _NONE
        if w3c and BAGGAGE in headers:
            members, properties = codec.decode(headers[BAGGAGE])
        found = baggage_in(result)
        if found:
            members = {**{key: str(value) for key, value in found.items()}, **members}
        broken = None
        if sealer() is not None:
            came = Incoming(
                members, properties, {name: headers[name] for name in registry().headers if name in headers}
            )
            (members, properties, headers), broken = opened(came, required=trust.sealed)
        request = admitted(trust, members, properties, headers)
        request.link = link
        request.broken_seal = broken
    except Exception:  # noqa: BLE001 - a carrier's getter and propagators are other people's code
        unreadable(carrier)
        request = Request()
    result = with_layer(result, Layer(request))
    if span is not None:
        put(result, SPAN_KEY, span)
    dict.pop(result, PEER_KEY, None)
    return result
