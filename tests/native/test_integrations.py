"""
An ASGI request is served in the same way by compiled twins and by the Python source.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.propagators.textmap import default_getter

from otelctx import Field, declare
from otelctx.core.layers import Layer
from otelctx.core.request import Request
from otelctx.core.state import layer_in
from otelctx.integrations.asgi import OtelctxMiddleware, server_span
from otelctx.native import TWINS
from otelctx.propagation import ingress
from otelctx.propagation.receiving import received
from otelctx.signals import tracing
from tests.in_python import in_python, is_compiled
from tests.integrations.test_asgi_exchange import ReplayingApp, Side, responses, scopes

pytestmark = pytest.mark.skipif(not is_compiled(), reason="nothing is compiled here")

ASGI = "otelctx.integrations.asgi"

NAME = st.sampled_from([b"host", b"Host", b"x-request-id", b"X-Request-ID", b"1", b"", b"x-\xe9", "host", bytearray()])
HEADERS = st.lists(st.tuples(NAME, st.sampled_from([b"a", b"\xff", b"", "text"])), max_size=5)


def outcome(work: Any) -> Any:
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - it is compared
        return type(error)


@given(HEADERS, st.sampled_from([list, tuple, iter, dict]))
def test_headers_are_sorted_the_same(headers: list[Any], kind: Any) -> None:
    def read(texts: Any) -> Any:
        scope: dict[str, Any] = {"headers": outcome(lambda: kind(headers))}
        sorted_ones = texts(scope)
        found = outcome(lambda: sorted_ones.otelctx_headers({b"host": "host", b"x-request-id": "x-request-id"}))
        return [list(sorted_ones.values(name)) for name in (b"host", b"x-request-id", b"1", b"none")], found

    pure, twin = in_python(f"{ASGI}.headers.HeaderTexts"), TWINS[f"{ASGI}.headers.HeaderTexts"][1]
    assert outcome(lambda: read(pure)) == outcome(lambda: read(twin))


class Shown(str):
    """Text of somebody's own, as some template engines have."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Lazy:
    def __str__(self) -> str:
        return Shown("acme")


@given(
    HEADERS,
    st.dictionaries(
        st.sampled_from(["request_id", "tenant", "secret"]), st.sampled_from(["a", " b", "é", "", None, 5, Lazy()])
    ),
    st.sampled_from([None, "mask", "drop"]),
)
def test_a_response_has_the_same_headers(headers: list[Any], values: dict[str, Any], redact: Any) -> None:
    declare(
        Field("tenant", remote=True, header="x-tenant", echo=True),
        Field("secret", remote=True, header="x-secret", echo=True, redact=redact and {"wire": redact}),
    )
    layer = Layer(Request({**values}))
    message = {"type": "http.response.start", "headers": headers}
    pure, twin = in_python(f"{ASGI}.response.with_echo"), TWINS[f"{ASGI}.response.with_echo"][1]
    assert outcome(lambda: pure(message, layer)) == outcome(lambda: twin(message, layer))


@pytest.fixture(scope="module", params=[False, True], ids=["stock spans", "faster spans"])
def sides(request: pytest.FixtureRequest) -> Iterator[tuple[Side, Side]]:
    if request.param:
        tracing.install()
    yield Side(OtelctxMiddleware), Side(OtelctxMiddleware)
    if request.param:
        tracing.uninstall()


ODD = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from(["/a b", "//", "/%2f", "", "/~x.y-z_/"]),
        "client": st.sampled_from([None, ("", 5), ("10.0.0.1", 0), ("10.0.0.1", True), ["10.0.0.1", 80], ("h", "5")]),
        "server": st.sampled_from([None, ("/run/s", None), ["127.0.0.1", 80], ("h", 443)]),
        "method": st.sampled_from(["get", None, ""]),
        "http_version": st.sampled_from(["2", "1.0"]),
        "headers": st.lists(
            st.sampled_from([(b"Host", b"a"), (b"host", b"b"), (b"user-agent", b"\xff"), (b"user-agent", b"x" * 300)]),
            max_size=3,
        ),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scopes, ODD, responses, st.booleans(), st.booleans())
def test_a_whole_exchange_leaves_the_same_behind(  # noqa: PLR0917 - two fixtures and five inputs
    sides: tuple[Side, Side],
    monkeypatch: pytest.MonkeyPatch,
    scope: dict[str, Any],
    odd: dict[str, Any],
    response: list[dict[str, Any]],
    fails: bool,
    route: bool,
) -> None:
    def served(side: Side) -> Any:
        app = ReplayingApp(response, fails=fails, route=route)
        return outcome(lambda: side.outcome(monkeypatch, app, {**scope, **odd}))

    ours = served(sides[0])
    with monkeypatch.context() as patched:
        patched.setattr(server_span, "TracedExchange", in_python(f"{ASGI}.traced_exchange.TracedExchange"))
        assert served(sides[1]) == ours


class Doubtful(ingress.Ingress):
    """A policy that cannot say what it believes."""

    @property
    def of_unknown(self) -> Any:  # type: ignore[override]
        return object()

    @of_unknown.setter
    def of_unknown(self, _: Any) -> None:
        """Forget it."""


def test_what_cannot_be_judged_is_a_request_of_its_own_and_raises_nothing() -> None:
    before = ingress.replace(Doubtful())
    try:
        context = received({"baggage": "user_id=alice"}, None, default_getter, (), w3c=True)
    finally:
        ingress.replace(before)
    layer = layer_in(context)
    assert layer is not None
    assert layer.request is not None
    assert [*layer.request.values] == ["request_id"]


class Like:
    """A context like OpenTelemetry's, and no tuple."""

    is_valid = False


class OddSpan(trace.NonRecordingSpan):
    def get_span_context(self) -> Any:
        return Like()


def test_a_message_goes_out_under_whatever_span_there_is() -> None:
    context = trace.set_span_in_context(OddSpan(trace.INVALID_SPAN_CONTEXT))
    request = Request()
    request.entry_span = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    seen: list[Any] = []

    async def send(message: Any) -> None:
        seen.append((message, trace.get_current_span()))

    for send_in in (in_python(f"{ASGI}.response.send_in"), TWINS[f"{ASGI}.response.send_in"][1]):
        token = attach(context)
        try:
            sending = send_in(Layer(request), send, {})
            assert inspect.iscoroutine(sending)
            with pytest.raises(StopIteration):
                sending.send(None)
        finally:
            detach(token)
    assert seen == [({}, request.entry_span)] * 2
