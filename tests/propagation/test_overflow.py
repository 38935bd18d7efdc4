"""
Baggage that does not fit the wire: what leaves, what says so, and to whom.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from opentelemetry import baggage
from opentelemetry.context import Context, attach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Tracer

import otelctx
from otelctx import Field, declare, extract, inject, request
from otelctx.core.reports import counts
from otelctx.propagation.codec import DROPPED, MAX_BYTES, MAX_MEMBERS
from otelctx.signals.spans import FieldSpanProcessor


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def recording(exported: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(FieldSpanProcessor())
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return provider.get_tracer("tests")


def sent(context: Context | None = None) -> dict[str, str]:
    headers: dict[str, str] = {}
    inject(headers, context)
    header = headers.get("baggage", "")
    assert len(header) <= MAX_BYTES
    assert header.count(",") < MAX_MEMBERS
    return dict(member.split("=", 1) for member in header.split(",")) if header else {}


def only_span(exported: InMemorySpanExporter) -> Mapping[str, object]:
    (span,) = exported.get_finished_spans()
    return dict(span.attributes or {})


class TestWhatLeaves:
    """Members go whole, by the priority of their fields, the lowest first."""

    def test_the_lowest_priorities_stay_behind(self) -> None:
        declare(*[Field(f"f{number}", remote=True, priority=number, max_length=MAX_BYTES) for number in range(4)])
        with request(request_id="r1", **{f"f{number}": "x" * 3000 for number in range(4)}):
            assert sent().keys() == {"request_id", "f3", "f2", DROPPED}

    def test_undeclared_members_stay_behind_before_fields_and_after_negative_priorities(self) -> None:
        declare(Field("low", remote=True, priority=-1, max_length=MAX_BYTES))
        with request(request_id="r1", user_id="u", low="x" * 3000):
            attach(baggage.set_baggage("colour", "x" * 3000))
            attach(baggage.set_baggage("shape", "x" * 3000))
            assert sent().keys() == {"request_id", "user_id", "colour", "shape", DROPPED}

    def test_the_built_in_fields_are_never_the_ones_among_thousands(self) -> None:
        with request(peer="unix", carrier={"baggage": ",".join(f"k{number}=v" for number in range(64))}):
            otelctx.set(request_id="r1", user_id="u")
            for number in range(100):
                attach(baggage.set_baggage(f"other{number}", "v"))
            members = sent()
        assert (members["request_id"], members["user_id"], len(members)) == ("r1", "u", MAX_MEMBERS)
        assert members[DROPPED] == str(64 + 100 + 2 - 63)

    def test_the_field_header_is_sent_although_its_member_is_left_out(self) -> None:
        declare(Field("tenant", remote=True, header="x-tenant", priority=-1))
        headers: dict[str, str] = {}
        with request(tenant="acme" * 10):
            attach(baggage.set_baggage("big", "x" * 8100))
            inject(headers)
        assert "tenant=" not in headers["baggage"]
        assert headers["x-tenant"] == "acme" * 10


class TestMarker:
    """``otelctx-dropped`` says how many are missing, here and before."""

    def test_the_number_adds_up_over_services(self) -> None:
        with request(peer="unix", carrier={"baggage": f"{DROPPED}=3,colour=red"}):
            for number in range(70):
                attach(baggage.set_baggage(f"other{number}", "v"))
            members = sent()
        assert members[DROPPED] == str(3 + 70 + 2 - 63)

    def test_where_nothing_is_left_out_it_passes_through(self) -> None:
        with request(peer="unix", carrier={"baggage": f"{DROPPED}=3,colour=red"}):
            assert sent()[DROPPED] == "3"

    @pytest.mark.parametrize("text", ["", "many", "-5", "9" * 500, "\u0665", "1e9"])
    def test_one_that_is_no_number_counts_nothing(self, text: str) -> None:
        with request(request_id="r1"):
            attach(baggage.set_baggage(DROPPED, text))
            attach(baggage.set_baggage("big", "x" * MAX_BYTES))
            assert sent() == {"request_id": "r1", DROPPED: "1"}

    def test_it_does_not_grow_for_ever(self) -> None:
        with request(peer="unix", request_id="r1", carrier={"baggage": f"{DROPPED}=999999999"}):
            attach(baggage.set_baggage("big", "x" * MAX_BYTES))
            assert sent()[DROPPED] == "999999999"


class TestWhoIsTold:
    """It is counted, and stands on the span of the call and on that of the server."""

    def test_the_span_of_the_call_has_the_number_and_the_declared_names(
        self, recording: Tracer, exported: InMemorySpanExporter
    ) -> None:
        declare(Field("tenant", remote=True, key="app.tenant", priority=-1, span=False))
        with request(request_id="r1", tenant="acme"):
            attach(baggage.set_baggage("secret-of-somebody", "x" * MAX_BYTES))
            attach(baggage.set_baggage("big", "x" * 8150))
            with recording.start_as_current_span("GET", kind=SpanKind.CLIENT):
                sent()
        attributes = only_span(exported)
        assert attributes["otelctx.baggage.left_out"] == 2
        assert attributes["otelctx.baggage.left_out_fields"] == ("tenant",)
        assert "secret" not in str(attributes)
        assert counts()["baggage.left_out"] == 2

    def test_the_span_of_the_server_has_what_the_marker_says(
        self, recording: Tracer, exported: InMemorySpanExporter
    ) -> None:
        context = extract({"baggage": f"{DROPPED}=3"}, peer="unix")
        with recording.start_as_current_span("GET /", context=context, kind=SpanKind.SERVER):
            pass
        assert only_span(exported)["otelctx.baggage.dropped"] == 3

    def test_where_all_fits_nobody_is_told(self, recording: Tracer, exported: InMemorySpanExporter) -> None:
        with (
            request(user_id="u"),
            recording.start_as_current_span("GET", kind=SpanKind.CLIENT),
        ):
            sent()
        assert not [name for name in only_span(exported) if name.startswith("otelctx.baggage")]
        assert counts() == {}


class TestNothingStale:
    """What is sent is what holds at that moment; no encoded form is kept."""

    def test_each_change_is_in_the_next_header(self) -> None:
        declare(Field("n", type=int, remote=True))
        with request(user_id="u"):
            context = otelctx.snapshot()
            for number in range(100):
                otelctx.set(n=number)
                assert sent()["n"] == context.run(sent)["n"] == str(number)
                with otelctx.bind(n=-number):
                    assert sent()["n"] == str(-number)
                attach(baggage.set_baggage("colour", f"c{number}"))
                assert sent()["colour"] == f"c{number}"

    def test_a_new_declaration_is_in_the_next_header(self) -> None:
        with request(tenant="acme"):
            assert "tenant" not in sent()
            declare(Field("tenant", remote=True))
            assert sent()["tenant"] == "acme"
