"""
The gate: where one request of a client goes to one host, and is given what may go there.

It stands there again for each redirect and each retry. What otelctx has put on for an earlier hop comes off; what the
application has set itself stays as it is. A gate never raises. Where instrumentation is suppressed, as in
OpenTelemetry's own exporters, there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, ParamSpec, TypeVar

from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.trace import get_current_span

from otelctx.core.here import here
from otelctx.core.registry import registry
from otelctx.core.reports import report
from otelctx.propagation import codec
from otelctx.propagation.crossing import sender
from otelctx.propagation.destination import Destination
from otelctx.propagation.egress import Decision, policy
from otelctx.propagation.passage import Passage, into_passage, text_of

P = ParamSpec("P")
T = TypeVar("T")

# Exporters say by both that their own requests are not to be traced.
_SUPPRESSED: Final = getattr(contexts, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
_BAGGAGE: Final = "baggage"

# What an instrumentation writes by a propagator of its own: that of botocore, unless it is told another.
_BY_OTHERS: Final = frozenset({"x-amzn-trace-id"})

# A header's text, by its name in lower case; None where there is none.
Present = Callable[[str], object]


def attempt(prepare: Callable[P, T], otherwise: T, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what *prepare* makes of a request, or *otherwise* where it fails; the request goes out all the same."""
    try:
        return prepare(*args, **kwargs)
    except Exception:  # noqa: BLE001 - headers and propagators of others
        report("egress.gate_failed", "The headers of an outgoing request could not be written")
        return otherwise


def passage_to(destination: Destination | None, present: Present, earlier: Passage | None = None) -> Passage | None:
    """
    Return the passage of one request, with the headers to write and to take off; None where there is no gate.

    Args:
        destination: where this request goes, whatever proxy is between; None where that is not clear.
        present: what the request carries already, by a header's name in lower case.
        earlier: the passage of the hop before this one, when this request began with the headers of that.
    """
    context = here()
    if context.get(_SUPPRESSED):
        return None
    if destination is None:
        report("egress.unclear_destination", "Where a request goes is not clear from its URL, so it gets no field")
    passage = Passage(policy().decide(destination))
    # For as long as nobody knows better, all that the hop before this one was given stays behind.
    passage.dropped = frozenset(() if earlier is None else earlier.written)
    attempt(_fill, None, passage, present, earlier, context)
    return passage


def _fill(passage: Passage, present: Present, earlier: Passage | None, context: Context) -> None:
    sending = sender()
    names = sending.headers if earlier is None else sending.headers | earlier.written.keys()
    if not passage.decision.trace:
        names |= _BY_OTHERS
    found = {name: text_of(text) for name in names if (text := present(name)) is not None}
    if found:
        _sort_out(found, passage, earlier, context)
    with passage:
        sending.propagator.inject(passage, setter=into_passage)
    # Formats with a header for each member do not say beforehand which they write.
    by_hand = {name for name in passage.written.keys() - names if present(name) is not None}
    for name in by_hand:
        del passage.written[name]
    passage.by_hand |= by_hand


def _sort_out(found: Mapping[str, str], passage: Passage, earlier: Passage | None, context: Context) -> None:
    """Tell what the application has set itself from what otelctx or an instrumentation has written."""
    before = {} if earlier is None else earlier.written
    ours = {name for name, text in found.items() if before.get(name) == text}
    of_fields = {_BAGGAGE, *registry().headers}
    trace = format(get_current_span(context).get_span_context().trace_id, "032x")
    of_trace = found.keys() - of_fields
    # Some formats write the trace id with dashes in it, and all write it in one header with or beside the others.
    if any(trace in found[name].replace("-", "") for name in of_trace):
        ours |= of_trace
    passage.dropped = frozenset(ours)
    passage.by_hand = frozenset(found.keys() - ours)
    if policy().audit:
        _audit({name: found[name] for name in passage.by_hand & of_fields}, passage.decision)


def _audit(by_hand: Mapping[str, str], decision: Decision) -> None:
    declared = registry()
    for name, text in by_hand.items():
        keys = codec.decode([text])[0] if name == _BAGGAGE else {declared.headers[name].baggage_key: text}
        fields = [declared.by_key[key].name if key in declared.by_key else key for key in keys]
        if not all(map(decision.allows, fields)):
            report("egress.by_hand", "The application itself sends the header %r where no rule would let it go", name)
