"""
What crosses the wire: headers written and read, by OpenTelemetry's propagators in Python and in JavaScript and by ours.

``inject`` and ``extract`` are the whole propagators, with the trace's header; ours decides what may leave, and opens a
request. Of one request ``inject`` makes the headers of fields once, until a field changes: ``inject what has changed``
sets one each time. ``encode`` and ``decode`` are baggage alone, with a carrier; of otelctx, the codec.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from benchmarks.cases.loops import repeated
from benchmarks.harness.case import Case, Group, MissingError, Work

PYTHON: Final = "OTel Python"
JS: Final = "OTel JS"
TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FIELDS: Final = {"request_id": "8b6c1d0a-4a3e-4f0b-9d1e-2f7c5a9e6b34", "user_id": "alice"}
HEADERS: Final = {"traceparent": TRACEPARENT, "baggage": ",".join(f"{key}={value}" for key, value in FIELDS.items())}
TEXTS: Final = {"plain": "01a20714-08ae-7fdc-9e65-79b8336deee5", "to be encoded": "Amélie, 28 %"}
# Whoever is believed, as all of a private network are: both fields are adopted.
PEER: Final = "127.0.0.1"
HOSTILE: Final = {
    "commas": "," * 8192,
    "semicolons": f"k=v{';' * 8189}",
    "percent signs": f"k={'%' * 8190}",
    "bad members": ",".join(["a b=c"] * 1365),
    "non-ASCII": "é" * 8192,
}

GROUP: Final = Group("codec", shared=True)
injecting = GROUP.case("inject trace and 2 fields", targets={PYTHON: 0.15, JS: 1})
changing = GROUP.case("inject what has changed", quick=False)
extracting = GROUP.case("extract trace and 2 fields", targets={PYTHON: 0.25, JS: 1})


@cache
def _node() -> Any:
    from tests.peers.programs import MissingError as MissingPeerError
    from tests.peers.programs import Peer, node_peer

    try:
        return Peer(node_peer("timing.mjs"))
    except MissingPeerError as missing:
        raise MissingError(str(missing)) from missing


def in_javascript(case: Case, asked: dict[str, Any]) -> None:
    """Register the peer in JavaScript, which times itself."""

    @case.contender(JS)
    def contender() -> Work:
        node = _node()
        numbers: Work = lambda calls: node.ask(**asked, calls=calls)  # noqa: E731 - it has a type so
        return numbers


@injecting.contender(PYTHON)
def _inject_by_otel() -> Work:
    from opentelemetry.baggage import set_baggage
    from opentelemetry.propagate import get_global_textmap

    propagator = get_global_textmap()
    context = propagator.extract({"traceparent": TRACEPARENT})
    for name, value in FIELDS.items():
        context = set_baggage(name, value, context)
    return repeated(lambda: propagator.inject({}, context))


@injecting.contender("otelctx")
def _inject() -> Work:
    from opentelemetry.context import Context

    from otelctx.propagation import egress
    from otelctx.propagation.peers import with_peer
    from otelctx.propagation.propagator import OtelctxPropagator

    # As for a destination that the policy names; by hand it is given, and a client's integration knows it.
    egress.replace(egress.EgressPolicy(unknown=egress.ALL))
    propagator = OtelctxPropagator()
    context = propagator.extract(HEADERS, with_peer(Context(), PEER))
    return repeated(lambda: propagator.inject({}, context))


@changing.contender(PYTHON)
def _change_and_inject_by_otel() -> Work:
    from opentelemetry.baggage import set_baggage
    from opentelemetry.propagate import get_global_textmap

    propagator = get_global_textmap()
    context = set_baggage("request_id", FIELDS["request_id"], propagator.extract({"traceparent": TRACEPARENT}))
    return repeated(lambda: propagator.inject({}, set_baggage("user_id", "alice", context)))


@changing.contender("otelctx")
def _change_and_inject() -> Work:
    from opentelemetry.context import Context

    from otelctx.core.state import current_layer
    from otelctx.propagation import egress
    from otelctx.propagation.peers import with_peer
    from otelctx.propagation.propagator import OtelctxPropagator

    egress.replace(egress.EgressPolicy(unknown=egress.ALL))
    propagator = OtelctxPropagator()
    context = propagator.extract(HEADERS, with_peer(Context(), PEER))
    layer = current_layer(context)
    if layer is None:
        raise LookupError("There is no request")

    def call() -> None:
        layer.write({"user_id": "alice"})
        propagator.inject({}, context)

    return repeated(call)


@extracting.contender(PYTHON)
def _extract_by_otel() -> Work:
    from opentelemetry.propagate import get_global_textmap

    propagator = get_global_textmap()
    return repeated(lambda: propagator.extract(HEADERS))


@extracting.contender("otelctx")
def _extract() -> Work:
    from opentelemetry.context import Context

    from otelctx.propagation.peers import with_peer
    from otelctx.propagation.propagator import OtelctxPropagator

    propagator, context = OtelctxPropagator(), with_peer(Context(), PEER)
    return repeated(lambda: propagator.extract(HEADERS, context))


def encoding(case: Case, members: dict[str, str]) -> None:
    """Register what writes *members*."""

    @case.contender(PYTHON)
    def by_otel() -> Work:
        from opentelemetry.baggage import set_baggage
        from opentelemetry.baggage.propagation import W3CBaggagePropagator
        from opentelemetry.context import Context

        logging.disable()
        propagator, context = W3CBaggagePropagator(), Context()
        for key, text in members.items():
            context = set_baggage(key, text, context)
        return repeated(lambda: propagator.inject({}, context))

    @case.contender("otelctx")
    def ours() -> Work:
        from opentelemetry.propagators.textmap import default_setter

        from otelctx.propagation.codec import encode

        def call() -> None:
            text, _ = encode(members)
            if text:
                default_setter.set({}, "baggage", text)

        return repeated(call)

    in_javascript(case, {"encode": members})


def decoding(case: Case, header: Callable[[], list[str]]) -> None:
    """Register what reads the headers that *header* makes."""

    @case.contender(PYTHON)
    def by_otel() -> Work:
        from opentelemetry.baggage.propagation import W3CBaggagePropagator
        from opentelemetry.context import Context

        # What it says about hostile headers would be most of what is measured.
        logging.disable()
        propagator, context, carrier = W3CBaggagePropagator(), Context(), {"baggage": header()}
        return repeated(lambda: propagator.extract(carrier, context))

    @case.contender("otelctx")
    def ours() -> Work:
        from opentelemetry.propagators.textmap import default_getter

        from otelctx.propagation.codec import decode

        carrier = {"baggage": header()}
        return repeated(lambda: decode(default_getter.get(carrier, "baggage") or ()))

    in_javascript(case, {"decode": header()})


def _written(members: dict[str, str]) -> list[str]:
    from urllib.parse import quote

    return [",".join(f"{key}={quote(text)}" for key, text in members.items())] if members else []


in_javascript(injecting, {"inject": FIELDS, "traceparent": TRACEPARENT})
in_javascript(extracting, {"extract": HEADERS})
for kind, text in TEXTS.items():
    for size in (0, 2, 10, 64):
        given = {f"field-{number}": f"{text}{number}" for number in range(size)}
        encoding(GROUP.case(f"encode {size} {kind}", quick=False), given)
        decoding(GROUP.case(f"decode {size} {kind}", quick=False), lambda given=given: _written(given))  # type: ignore[misc]
for kind, text in HOSTILE.items():
    decoding(GROUP.case(f"decode 8 KiB of {kind}", quick=False), lambda text=text: [text])  # type: ignore[misc]
