"""
Headers that matter, read in one pass, are what a getter tells that is asked for each by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, default_getter

from otelctx import Field, declare
from otelctx.core.registry import registry
from otelctx.core.reports import counts
from otelctx.core.state import current_request
from otelctx.integrations.asgi.headers import Headers
from otelctx.propagation import ingress
from otelctx.propagation.carriers import headers_in, names
from otelctx.propagation.ingress import EVERYTHING, STRANGER, Ingress, Mode, Rule, Trust
from otelctx.propagation.peers import Peers, with_peer
from otelctx.propagation.propagator import OtelctxPropagator

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

TEXTS = {
    "traceparent": st.sampled_from([TRACEPARENT, TRACEPARENT.upper(), f"{TRACEPARENT}-x", "", "00-0-0-00"]),
    "tracestate": st.sampled_from(["a=1", "", "not a member"]),
    "baggage": st.sampled_from(
        ["user_id=u,request_id=b", "k=v;p=1", "user_id=a%20b , k = %ff", "n=05;p", "n=x", "", ",,", "user_id"]
    ),
    "x-request-id": st.sampled_from(["r1", " r1 ", "not valid", ""]),
    "x-tenant": st.sampled_from(["acme", "é", ""]),
    "x-forwarded-for": st.sampled_from(["203.0.113.5", "10.0.0.1", "nobody"]),
    "forwarded": st.sampled_from(["for=203.0.113.5", "for=10.0.0.1;proto=http"]),
    "accept": st.just("*/*"),
}
PAIRS = st.lists(
    st.sampled_from([*TEXTS]).flatmap(lambda name: st.tuples(st.sampled_from([name, name.title()]), TEXTS[name])),
    max_size=8,
)
TRUSTS = [
    EVERYTHING,
    STRANGER,
    Trust(sealed=True),
    Trust(fields=frozenset({"tenant", "k"})),
    *(Trust(trace, baggage) for trace in Mode for baggage in Mode),
]


class Asking(Getter[Any]):
    """Of a scope or a mapping, without knowing more of it than its getter tells."""

    def __init__(self, inner: Getter[Any]) -> None:
        self.inner = inner

    def get(self, carrier: Any, key: str) -> list[str] | None:
        return self.inner.get(carrier, key)

    def keys(self, carrier: Any) -> list[str]:
        return self.inner.keys(carrier)


class AskingScope(Asking):
    otelctx_peer = Headers.otelctx_peer


@pytest.fixture(autouse=True)
def _fields() -> None:
    declare(Field("tenant", remote=True, header="x-tenant"), Field("n", type=int, remote=True))


@pytest.fixture
def policies() -> Iterator[None]:
    before = ingress.ingress()
    yield
    ingress.replace(before)


def scope_of(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    return {"type": "http", "client": ("10.0.0.9", 1), "headers": headers}


def mapping_of(pairs: list[tuple[str, str]], *, as_lists: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.setdefault(name.lower(), []).append(value)
    return found if as_lists else {name: values[0] for name, values in found.items()}


def seen(carrier: Any, getter: Getter[Any], context: Context | None = None) -> dict[str, object]:
    """Return all that an extraction leaves, but for what is made anew each time."""
    before = counts()
    result = OtelctxPropagator().extract(carrier, context, getter)
    request = current_request(result)
    assert request is not None
    made = {name for name, origin in request.origins.items() if origin == "generated"}
    after = counts()
    return {
        "span": trace.get_current_span(result).get_span_context(),
        "keys": {key.rsplit("-", 5)[0] for key in result},
        "values": {name: value for name, value in request.values.items() if name not in made},
        **{name: getattr(request, name) for name in ("carried", "properties", "origins", "link", "broken_seal")},
        "former": request.former,
        "reports": {
            kind: number - before.get(kind, 0) for kind, number in after.items() if number - before.get(kind, 0)
        },
    }


@pytest.mark.usefixtures("policies")
class TestOnePass:
    @given(PAIRS, st.sampled_from(TRUSTS), st.booleans())
    def test_over_a_scope(self, pairs: list[tuple[str, str]], trust: Trust, with_proxies: bool) -> None:
        proxies = Peers(["10.0.0.9"]) if with_proxies else None
        ingress.replace(Ingress([Rule(Peers(["private"]), trust)], trusted_proxies=proxies))
        scope = scope_of(pairs)
        assert seen(scope, Headers(scope)) == seen(scope, AskingScope(Headers(scope)))

    @given(PAIRS, st.sampled_from(TRUSTS), st.booleans())
    def test_over_a_mapping(self, pairs: list[tuple[str, str]], trust: Trust, as_lists: bool) -> None:
        ingress.replace(Ingress([Rule(Peers(["private"]), trust)]))
        mapping = mapping_of(pairs, as_lists=as_lists)
        context = with_peer(Context(), "10.0.0.9")
        assert seen(mapping, default_getter, context) == seen(mapping, Asking(default_getter), context)


class TestNames:
    def test_those_of_fields_declared_later_are_among_them(self) -> None:
        assert "x-late" not in names(registry()).of_fields
        declare(Field("late", remote=True, header="x-late"))
        assert headers_in({"x-late": "l"}, default_getter, with_forwarded=False) == {"x-late": ["l"]}

    def test_what_does_not_matter_is_not_read(self) -> None:
        scope = scope_of([("accept", "*/*"), ("X-Tenant", "acme"), ("x-tenant", "other")])
        assert headers_in(scope, Headers(scope), with_forwarded=True) == {"x-tenant": ["acme", "other"]}


def test_other_propagators_ask_the_scope_by_name() -> None:
    scope = scope_of([("B3", "1"), ("b3", "2"), ("accept", "é")])
    assert Headers(scope).get(scope, "b3") == Headers(scope).get(scope, "B3") == ["1", "2"]
    assert Headers(scope).get(scope, "x-none") is None
    assert Headers({}).get({}, "b3") is None
    assert Headers(scope).keys(scope) == ["b3", "accept"]
