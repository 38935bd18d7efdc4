"""
Carriers: the headers of one message that matter here, each read once.

Which they are follows from the declarations. A getter of ours may have them at hand, as ``otelctx_headers``; one of
somebody else's is asked for each by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from opentelemetry.propagators.textmap import CarrierT, DefaultGetter, Getter

from otelctx.core.registry import Registry, registry
from otelctx.core.reports import report
from otelctx.propagation.forwarded import HEADERS
from otelctx.propagation.trace_context import TRACEPARENT, TRACESTATE

BAGGAGE: Final = "baggage"
_MOST_DECLARATIONS: Final = 4
_OF_TRACE: Final = (TRACEPARENT, TRACESTATE)

# All texts of each header that is there, by its name.
Headers: TypeAlias = Mapping[str, Sequence[str]]


class Names:
    """
    The names of the headers that matter, in lower case.

    Attributes:
        of_fields: those that tell values.
        sent: these, and those of the trace.
        in_bytes: these, and those that proxies write, by their bytes.
    """

    __slots__ = ("in_bytes", "of_fields", "sent")

    def __init__(self, declared: Registry) -> None:
        """Collect them."""
        self.of_fields = (BAGGAGE, *declared.headers)
        self.sent = (*_OF_TRACE, *self.of_fields)
        self.in_bytes: Mapping[bytes, str] = {name.encode("ascii"): name for name in (*self.sent, *HEADERS)}


@lru_cache(maxsize=_MOST_DECLARATIONS)
def names(declared: Registry) -> Names:
    """Return the names that matter where these fields are *declared*."""
    return Names(declared)


def headers_in(carrier: CarrierT, getter: Getter[CarrierT], *, with_forwarded: bool) -> Headers:
    """
    Return the headers of *carrier* that matter.

    Args:
        with_forwarded: those that proxies write are of use.
    """
    wanted = names(registry())
    kind = type(getter)
    if kind is DefaultGetter:
        return _of_mapping(carrier, wanted.sent, getter)
    read: Callable[[Any, Mapping[bytes, str]], Headers] | None = getattr(kind, "otelctx_headers", None)
    if read is not None:
        return read(getter, wanted.in_bytes)
    found = _asked(carrier, getter, (*HEADERS, *_OF_TRACE) if with_forwarded else _OF_TRACE)
    try:
        found.update(_asked(carrier, getter, wanted.of_fields))
    except Exception:  # noqa: BLE001 - other people's code; it does not take the trace away
        unreadable(carrier)
    return found


def _asked(carrier: CarrierT, getter: Getter[CarrierT], wanted: tuple[str, ...]) -> dict[str, Sequence[str]]:
    return {name: texts for name in wanted if (texts := getter.get(carrier, name))}


def unreadable(carrier: object) -> None:
    """Count and report that *carrier* could not be read."""
    report("extract.failed", "A carrier of type %s could not be read", type(carrier).__name__)


def _of_mapping(carrier: Any, wanted: tuple[str, ...], getter: Getter[Any]) -> Headers:
    found: dict[str, list[str]] = {}
    for name in wanted:
        value = carrier.get(name)
        if value is not None:
            texts = [value] if type(value) is str else getter.get(carrier, name)
            if texts:
                found[name] = texts
    return found
