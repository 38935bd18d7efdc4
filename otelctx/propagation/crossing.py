"""
The verbs that cross a boundary by hand: `inject`, `extract` and `request`.

For what no instrumentation covers: a message, an environment, a call over a protocol of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from functools import cache
from types import TracebackType
from typing import Any, Final, NamedTuple

from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from otelctx.core.block import Block
from otelctx.core.opening import Nested, open_request
from otelctx.core.registry import Registry, registry
from otelctx.core.reports import report
from otelctx.core.request import Request, accepted
from otelctx.core.state import current_layer, current_request, layer_in, with_layer
from otelctx.core.watching import request_ended
from otelctx.errors import DestinationError
from otelctx.native import compiled
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.carriers import BAGGAGE
from otelctx.propagation.egress import Decision, policy
from otelctx.propagation.passage import Passage, text_of, unwritable
from otelctx.propagation.peers import with_peer
from otelctx.propagation.propagator import OtelctxPropagator

_own = OtelctxPropagator()

# Of formats with a header for each member: Jaeger's and OpenTracing's.
_ONE_PER_MEMBER: Final = ("uberctx-", "ot-baggage-")


class Sender(NamedTuple):
    """
    The propagator that is used for what is configured and declared.

    Attributes:
        propagator: the configured one if it opens requests, else ours, after it if it carries other things.
        headers: the names in lower case of all that it may write.
        of_fields: those of the headers that carry fields.
    """

    configured: TextMapPropagator
    declared: Registry
    propagator: TextMapPropagator
    headers: frozenset[str]
    of_fields: frozenset[str]


_sender: Sender | None = None


@cache
def _configured() -> Callable[[], TextMapPropagator]:
    # Imported late: OpenTelemetry loads propagators, and with them this package, while it imports that module.
    from opentelemetry.propagate import get_global_textmap  # noqa: PLC0415

    return get_global_textmap


@compiled
def sender() -> Sender:
    """Return the sender of this moment; it is worked out anew when the propagator or the declarations change."""
    global _sender  # noqa: PLW0603 - one reference, replaced as a whole
    configured, declared = _configured()(), registry()
    found = _sender
    if found is None or found.configured is not configured or found.declared is not declared:
        chosen = _chosen(configured)
        headers, of_fields = frozenset(map(str.lower, chosen.fields)), frozenset({BAGGAGE, *declared.headers})
        found = _sender = Sender(configured, declared, chosen, headers, of_fields)
    return found


@compiled
def propagator() -> TextMapPropagator:
    """Return the propagator of the `sender`."""
    return sender().propagator


def _chosen(configured: TextMapPropagator) -> TextMapPropagator:
    if isinstance(configured, RequestOpening) or _own.fields <= configured.fields:
        return configured
    return _own if configured.fields <= _own.fields else OtelctxPropagator(configured)


def inject(
    carrier: MutableMapping[str, Any], context: Context | None = None, *, destination: str | None = None
) -> None:
    """
    Write the current trace, and those remote fields and field headers that may go to *destination*, into *carrier*.

    Without a destination only the trace is written, and that is reported. What an earlier injection has left in
    *carrier* goes first, since it may have been for another destination.

    Args:
        carrier: a mutable mapping of header names to texts.
        context: what to send; what is current unless given.
        destination: where it goes: a URL, or ``kafka://topic``, ``amqp://exchange``. ``[otelctx.egress]`` says what may
            go where; to one that is not clear goes what goes to none.

    >>> with request(user_id="alice"):
    ...     headers = {}
    ...     inject(headers, destination="http://orders:8000/new")
    >>> "user_id=alice" in headers["baggage"]
    True
    """
    sending = sender()
    if destination is None:
        if _has_taken_off(carrier, sending, policy().unknown):
            sending.propagator.inject(carrier, context)
        return
    try:
        decision = policy().decide_url(destination)
    except DestinationError as error:
        report("egress.unclear_destination", "A destination given to inject is not clear: %s", error)
        decision = policy().decide(None)
    if _has_taken_off(carrier, sending, decision):
        with Passage(decision):
            sending.propagator.inject(carrier, context)


def _has_taken_off(carrier: MutableMapping[str, Any], sending: Sender, decision: Decision) -> bool:
    """Take off *carrier* the headers that carry fields, and those of the trace too where *decision* lets none go."""
    names = sending.of_fields if decision.trace else sending.of_fields | sending.headers
    try:
        for name in [*carrier]:
            spelled = text_of(name).lower()
            if spelled in names or spelled.startswith(_ONE_PER_MEMBER):
                carrier.pop(name, None)
    except Exception:  # noqa: BLE001 - a mapping of somebody's
        unwritable(carrier)
        return False
    return True


def extract(carrier: Mapping[str, Any], context: Context | None = None, *, peer: str | None = None) -> Context:
    """
    Return the Context that *carrier* brings, with a request in it; as in OpenTelemetry, nothing is attached.

    Args:
        carrier: a mapping of lower-case header names to texts or lists of texts.
        context: what to add to; an empty Context unless given.
        peer: who it came from, as the application knows it: an address, ``unix``, a message source such as
            ``kafka://orders``. ``[otelctx.ingress]`` says what is believed of whom; without a peer, a stranger's
            trace and request id.
    """
    if peer is not None:
        context = with_peer(Context() if context is None else context, peer)
    context = propagator().extract(carrier, context)
    return context if layer_in(context) is not None else _own.extract(carrier, context)


class request(Block):  # noqa: N801 - it is used as a verb
    """
    Open a request for the block; with *carrier*, continue the one that came over a boundary.

    Args:
        carrier: headers of a message, as `extract` takes them.
        peer: who the message came from, as `extract` takes it.
        nested: inside a request, ``inherit`` starts with the outer values and writes to a cell of its own, ``reuse``
            stays in the outer one, ``new`` starts with nothing. With *carrier* it is always a request of its own.
        values: fields to set from the start.

    Raises:
        UnknownFieldError: in strict mode, for a name that no field declares.

    >>> with request(user_id="alice"):
    ...     get("user_id")
    'alice'
    """

    __slots__ = ("_carrier", "_nested", "_opened", "_peer", "_values")

    def __init__(
        self,
        /,
        *,
        carrier: Mapping[str, Any] | None = None,
        peer: str | None = None,
        nested: Nested = "inherit",
        **values: object,
    ) -> None:
        """Prepare a block; the request begins when it is entered."""
        super().__init__()
        self._carrier = carrier
        self._peer = peer
        self._nested: Nested = nested
        self._values = accepted(values)
        self._opened: Request | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Put the Context from before the block back; the request is over, if it was opened here."""
        super().__exit__(kind, error, traceback)
        opened, self._opened = self._opened, None
        request_ended(opened, may_raise=error is None)

    def _context(self) -> Context:
        context = self._new_context()
        opened = current_request(context)
        self._opened = None if self._nested == "reuse" and opened is current_request() else opened
        return context

    def _new_context(self) -> Context:
        if self._carrier is None:
            return open_request(with_layer(get_current(), current_layer()), self._values, self._nested)
        # What else is in the Context stays; the span and the request are the carrier's, or nobody's.
        here = set_span_in_context(INVALID_SPAN, with_layer(get_current(), None))
        return open_request(extract(self._carrier, here, peer=self._peer), self._values, "reuse")

    def _again(self) -> Block:
        block = request(carrier=self._carrier, peer=self._peer, nested=self._nested)
        block._values = self._values
        return block
