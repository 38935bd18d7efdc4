"""
`OtelctxPropagator`, and `inject`, `extract` and `request(carrier=…)` on top of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, Setter, TextMapPropagator, default_getter, default_setter
from opentelemetry.trace import Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import otelctx
from otelctx import Field, current, declare, get, inject
from otelctx.core.reports import counts
from otelctx.core.state import current_request
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.edge import opened_at, without_span
from otelctx.propagation.peers import with_peer
from otelctx.propagation.propagator import OtelctxPropagator

TRACE = "0af7651916cd43dd8448eb211c80319c"
# What is read and how, whoever it comes from; test_ingress.py is about that.
extract = partial(otelctx.extract, peer="127.0.0.1")
request = partial(otelctx.request, peer="127.0.0.1")

TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def configured() -> Iterator[Callable[..., None]]:
    """Configure propagators for the test."""
    before = get_global_textmap()
    yield lambda *propagators: set_global_textmap(CompositePropagator(list(propagators)))
    set_global_textmap(before)


def fields_of(context: Context) -> dict[str, object]:
    """Return what `current` returns in *context*."""
    token = attach(context)
    try:
        return dict(current())
    finally:
        token.var.reset(token)


class TestExtract:
    """Returns a Context with the remote span and a new request, and attaches nothing."""

    def test_trace_baggage_and_headers(self) -> None:
        declare(Field("tenant", remote=True, header="x-tenant"), Field("n", type=int, remote=True, key="app.n"))
        context = extract({
            "traceparent": TRACEPARENT,
            "baggage": "user_id=u,app.n=5,colour=light%20blue",
            "x-request-id": "r1",
            "x-tenant": "acme",
        })  # fmt: skip
        assert f"{get_current_span(context).get_span_context().trace_id:032x}" == TRACE
        assert fields_of(context) == {
            "request_id": "r1", "user_id": "u", "n": 5, "tenant": "acme", "colour": "light blue",
        }  # fmt: skip
        assert current() == {}
        assert not get_current_span().get_span_context().is_valid

    def test_nothing_in_gives_a_request_with_a_generated_id(self) -> None:
        context = extract({})
        assert set(fields_of(context)) == {"request_id"}
        assert get_current_span(context).get_span_context().is_valid is False

    def test_each_carrier_is_a_request_of_its_own(self) -> None:
        one, two = extract({"x-request-id": "r1"}), extract({"x-request-id": "r1"})
        assert current_request(one) is not current_request(two)

    def test_baggage_that_another_propagator_read_before_counts(self) -> None:
        read = with_peer(baggage.set_baggage("user_id", "other format", Context()), "unix")
        context = OtelctxPropagator().extract({}, read)
        assert fields_of(context)["user_id"] == "other format"

    def test_repeated_baggage_headers_are_one(self) -> None:
        assert fields_of(extract({"baggage": ["user_id=u", "colour=red"]}))["colour"] == "red"

    def test_local_fields_are_not_believed(self) -> None:
        declare(Field("is_admin", type=bool))
        assert set(fields_of(extract({"baggage": "is_admin=true", "is_admin": "true"}))) == {"request_id"}

    def test_what_does_not_fit_is_left_out_alone(self) -> None:
        declare(Field("n", type=int, remote=True, header="x-n"))
        context = extract({"baggage": "user_id=u,n=many", "x-n": "9" * 5000})
        assert fields_of(context)["user_id"] == "u"
        assert "n" not in fields_of(context)

    def test_with_stock_propagators_configured_there_is_a_request_too(self, configured: Callable[..., None]) -> None:
        configured(TraceContextTextMapPropagator(), W3CBaggagePropagator())
        fields = fields_of(extract({"baggage": "user_id=a+b", "x-request-id": "r1"}))
        assert fields == {"request_id": "r1", "user_id": "a+b"}


class TestRequestId:
    """Adopted if valid, else replaced; generated when absent."""

    @pytest.mark.parametrize("text", ["r1", "a" * 128, "0af7-65.19_~:+/=@", "01a20714-08ae-7fdc-9e65-79b8336deee5"])
    def test_a_valid_one_is_adopted(self, text: str) -> None:
        assert fields_of(extract({"x-request-id": text}))["request_id"] == text
        assert fields_of(extract({"x-request-id": f" {text}\t"}))["request_id"] == text

    @pytest.mark.parametrize(
        "text",
        ["", " ", "a" * 129, "a b", "a\r\nset-cookie: x", "é", "\udcff", "a,b", "{{}}", "$(id)", "<a>", "a;b", "\0"],
    )
    def test_another_is_replaced(self, text: str) -> None:
        with request(carrier={"x-request-id": text}):
            assert get("request_id") != text
            assert len(str(get("request_id"))) == 36
            here = current_request()
            assert here is not None
            assert here.origins["request_id"] == "generated"

    def test_two_headers_are_nobodys_clear_word(self) -> None:
        assert fields_of(extract({"x-request-id": ["r1", "r2"]}))["request_id"] not in {"r1", "r2"}

    def test_that_of_baggage_is_adopted_and_that_of_the_header_counts_more(self) -> None:
        assert fields_of(extract({"baggage": "request_id=b1"}))["request_id"] == "b1"
        assert fields_of(extract({"baggage": "request_id=b1", "x-request-id": "r1"}))["request_id"] == "r1"
        assert fields_of(extract({"baggage": "request_id=b1", "x-request-id": "not valid"}))["request_id"] == "b1"


class TestInject:
    """Writes the current trace, the remote fields and the field headers."""

    def test_all_three(self, tracer: Tracer) -> None:
        headers: dict[str, str] = {}
        with request(request_id="r1", user_id="a b+c"), tracer.start_as_current_span("span") as span:
            otelctx.inject(headers)
            trace_id = span.get_span_context().trace_id
        assert headers["traceparent"].split("-")[1] == f"{trace_id:032x}"
        assert headers["baggage"] == "request_id=r1,user_id=a%20b+c"
        assert headers["x-request-id"] == "r1"

    def test_nothing_where_there_is_nothing(self) -> None:
        headers: dict[str, str] = {}
        inject(headers)
        assert headers == {}

    def test_a_text_that_a_header_cannot_hold_travels_in_baggage_alone(self) -> None:
        declare(Field("tenant", remote=True, header="x-tenant"))
        for text, encoded in [("é", "%C3%A9"), (" a", "%20a")]:
            headers: dict[str, str] = {}
            with request(tenant=text):
                inject(headers)
            assert "x-tenant" not in headers
            assert f"tenant={encoded}" in headers["baggage"]

    def test_defaults_are_not_sent(self) -> None:
        declare(Field("tenant", remote=True, header="x-tenant", default="acme"))
        headers: dict[str, str] = {}
        with request():
            inject(headers)
        assert set(headers) == {"baggage", "x-request-id"}
        assert "tenant" not in headers["baggage"]

    def test_hidden_values_are_not_sent(self) -> None:
        headers: dict[str, str] = {}
        with request(user_id="u"), otelctx.bind(user_id=None, request_id=None):
            inject(headers)
        assert headers == {}

    def test_values_have_one_form_on_the_wire(self) -> None:
        declare(Field("flag", type=bool, remote=True), Field("ratio", type=float, remote=True))
        headers: dict[str, str] = {}
        with request(flag=True, ratio=0.5, request_id="r"):
            inject(headers)
        assert headers["baggage"] == "request_id=r,flag=true,ratio=0.5"
        with request(carrier=headers):
            assert (get("flag"), get("ratio")) == (True, 0.5)

    def test_a_request_that_was_not_sampled_is_sent_too(self) -> None:
        headers: dict[str, str] = {}
        with request(carrier={"traceparent": TRACEPARENT[:-1] + "0", "baggage": "user_id=u"}):
            inject(headers)
        assert headers["traceparent"].endswith("-00")
        assert "user_id=u" in headers["baggage"]

    def test_a_configured_propagator_of_another_format_is_used_too(self, configured: Callable[..., None]) -> None:
        configured(OtherFormat())
        headers: dict[str, str] = {}
        with request(user_id="u"):
            inject(headers)
        assert headers["x-other"] == "sent"
        assert "user_id=u" in headers["baggage"]
        assert extract(headers)["other"] == "sent"

    def test_fields_are_all_that_it_may_set(self) -> None:
        declare(Field("tenant", remote=True, header="x-tenant"))
        assert OtelctxPropagator().fields == {"traceparent", "tracestate", "baggage", "x-request-id", "x-tenant"}


class OtherFormat(TextMapPropagator):
    """Stands for B3, Jaeger and the like."""

    def extract(self, carrier: Any, context: Context | None = None, getter: Getter[Any] = default_getter) -> Context:
        found = getter.get(carrier, "x-other") or [""]
        return Context({**(context or {}), "other": found[0]})

    def inject(self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter) -> None:
        setter.set(carrier, "x-other", "sent")

    @property
    def fields(self) -> set[str]:
        return {"x-other"}


class RaisingFormat(OtherFormat):
    """A propagator of others with a defect."""

    def inject(self, carrier: Any, context: Context | None = None, setter: Setter[Any] = default_setter) -> None:
        raise RuntimeError("a defect")


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=100)


class TestRoundTrip:
    """What one service sends is what the next one has."""

    @given(user=TEXTS, tenant=TEXTS, n=st.integers(-(2**63), 2**63 - 1), flag=st.booleans(), other=TEXTS)
    def test_fields_of_every_type(self, user: str, tenant: str, n: int, flag: bool, other: str) -> None:
        declare(
            Field("tenant", remote=True, header="x-tenant", key="app.tenant"),
            Field("n", type=int, remote=True, header="x-n"),
            Field("flag", type=bool, remote=True),
        )
        headers: dict[str, str] = {}
        with request(user_id=user, tenant=tenant, n=n, flag=flag):
            attach(baggage.set_baggage("other", other))
            inject(headers)
            sent = dict(current())
        with request(carrier=headers):
            assert dict(current()) == sent

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_floats(self, ratio: float) -> None:
        declare(Field("ratio", type=float, remote=True, header="x-ratio"))
        headers: dict[str, str] = {}
        with request(ratio=ratio):
            inject(headers)
        with request(carrier=headers):
            assert get("ratio") == ratio

    def test_a_plain_neighbour_in_both_directions(self) -> None:
        """An application with stock OpenTelemetry between two of ours passes everything on."""
        first: dict[str, str] = {}
        second: dict[str, str] = {}
        with request(request_id="r1", user_id="alice", tenant="local"):
            inject(first)
        W3CBaggagePropagator().inject(second, W3CBaggagePropagator().extract(first, Context()))
        with request(carrier=second):
            assert dict(current()) == {"request_id": "r1", "user_id": "alice"}


class Raises:
    """A getter that raises for some headers."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def get(self, carrier: Mapping[str, str], key: str) -> list[str] | None:
        if key in self.names or not self.names:
            raise RuntimeError("hostile")
        return [carrier[key]] if key in carrier else None

    def keys(self, carrier: Mapping[str, str]) -> list[str]:
        raise RuntimeError("hostile")


ANYTHING = (
    st.none() | st.text() | st.binary() | st.integers() | st.lists(st.text() | st.binary() | st.none(), max_size=3)
)
HEADERS = st.dictionaries(
    st.sampled_from(["traceparent", "tracestate", "baggage", "x-request-id", "x-n"]), ANYTHING, max_size=5
)


class TestHostileCarriers:
    """Neither `extract` nor what follows raises, takes long or keeps much, whatever came in."""

    @given(st.one_of(HEADERS, st.none(), st.integers(), st.text(), st.lists(st.text()), st.builds(object)))
    def test_anything_gives_a_request_that_can_be_used(self, carrier: Any) -> None:
        declare(Field("n", type=int, remote=True, header="x-n"))
        context = OtelctxPropagator().extract(carrier, Context())
        headers: dict[str, str] = {}
        OtelctxPropagator().inject(headers, context)
        W3CBaggagePropagator().inject({}, context)
        assert len(headers["x-request-id"]) <= 128
        assert len(headers["baggage"]) <= 8192
        assert headers["baggage"].isascii()
        assert headers["baggage"].isprintable()

    def test_a_getter_that_raises_for_all(self) -> None:
        context = OtelctxPropagator().extract({}, Context({"key": "kept"}), Raises())  # type: ignore[arg-type]
        assert context["key"] == "kept"
        assert set(fields_of(context)) == {"request_id"}

    @pytest.mark.parametrize("name", ["baggage", "x-request-id"])
    def test_a_getter_that_raises_for_one_header_leaves_the_trace(self, name: str) -> None:
        context = OtelctxPropagator().extract({"traceparent": TRACEPARENT}, None, Raises(name))  # type: ignore[arg-type]
        assert f"{get_current_span(context).get_span_context().trace_id:032x}" == TRACE
        assert "request_id" in fields_of(context)

    def test_huge_headers_are_cut_before_they_are_parsed(self) -> None:
        huge = ",".join(f"k{number}=" + "v" * 100 for number in range(100_000))
        headers = {"baggage": huge, "x-request-id": "r" * 10**7, "tracestate": huge, "traceparent": TRACEPARENT}
        context = extract(headers)
        assert len(baggage.get_all(context)) <= 65
        assert counts()["baggage.too_long"] == 1

    def test_thousands_of_headers(self) -> None:
        many = [f"k{number}=v" for number in range(100_000)]
        context = extract({"baggage": many, "x-request-id": many, "traceparent": [TRACEPARENT] * 100_000})
        assert len(baggage.get_all(context)) == 65

    def test_encoded_control_characters_never_become_headers(self) -> None:
        declare(Field("tenant", remote=True, header="x-tenant"))
        headers: dict[str, str] = {}
        with request(carrier={"baggage": "tenant=a%0d%0aset-cookie:%20x=1,colour=%0d%0a"}):
            inject(headers)
        assert "x-tenant" not in headers
        assert "\r" not in "".join(headers.values())

    def test_surrogates_of_a_header_never_become_values(self) -> None:
        """`\\xff` in a header arrives as a lone surrogate, which no later encoder takes."""
        declare(Field("tenant", remote=True, header="x-tenant"))
        with request(carrier={"x-tenant": "a\udcffb"}):
            assert get("tenant") is None
            inject({})
            W3CBaggagePropagator().inject({})


class TestEdge:
    """One request for one incoming message, however many read its headers."""

    def test_a_second_reader_continues_the_request_that_is_open(self) -> None:
        scope: dict[str, Any] = {"traceparent": TRACEPARENT, "x-request-id": "r1"}
        attach(without_span(opened_at(scope, extract(scope))[1]))
        otelctx.set(user_id="u")
        context = extract(scope)
        assert current_request(context) is current_request()
        assert f"{get_current_span(context).get_span_context().trace_id:032x}" == TRACE
        assert not get_current_span(get_current()).get_span_context().is_valid

    def test_a_second_reader_in_another_context_does_so_too(self) -> None:
        scope: dict[str, Any] = {"x-request-id": "r1"}
        _, opened = opened_at(scope, extract(scope))
        assert current_request(extract(scope)) is current_request(opened)

    def test_a_mark_from_outside_is_not_believed(self) -> None:
        assert set(fields_of(extract({"otelctx.opened": "x", "x-request-id": "r1"}))) == {"request_id"}


class TestHostileCode:
    @pytest.mark.parametrize("carrier", [None, ("a",), object()])
    def test_a_carrier_that_cannot_be_written_is_reported_and_does_not_raise(self, carrier) -> None:
        with request(user_id="alice"):
            inject(carrier)
        assert counts()["inject.failed"] == 1

    def test_nor_does_a_propagator_of_others_that_raises(self) -> None:
        with request(user_id="alice"):
            RequestOpening(W3CBaggagePropagator()).inject(None)
        assert counts()["inject.failed"] == 1

    def test_one_that_raises_takes_neither_ours_nor_the_next_ones_headers_away(self, tracer: Tracer) -> None:
        headers: dict[str, str] = {}
        with request(user_id="alice"), tracer.start_as_current_span("s"):
            OtelctxPropagator(RaisingFormat(), OtherFormat()).inject(headers)
        assert headers.keys() == {"traceparent", "baggage", "x-request-id", "x-other"}
        assert counts()["inject.failed"] == 1

    def test_a_baggage_key_that_is_no_text_is_left_out(self) -> None:
        headers: dict[str, str] = {}
        with request(user_id="alice"):
            token = attach(baggage.set_baggage(5, "v"))  # type: ignore[arg-type]
            inject(headers)
            detach(token)
        assert "user_id=alice" in headers["baggage"]

    @pytest.mark.parametrize("text", ["a\nb", "a\r", "\x1b[31m", "a\u2028b", "\x85"])
    def test_what_would_forge_a_log_line_is_refused(self, text: str) -> None:
        with request(carrier={"baggage": f"user_id={quote(text)}"}):
            assert otelctx.get("user_id") is None
