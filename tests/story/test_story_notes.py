from __future__ import annotations

from otelctx.story.assembly import assemble


def notes(make, spans, logs=()) -> list[tuple[str, str]]:
    return [(note.kind, note.text) for note in assemble(make.story(spans, list(logs))).notes]


class TestNotes:
    def test_a_whole_story_has_none(self, make):
        spans = [
            make.span("a", None, "gateway", "GET /", 0, 9, "server"),
            make.span("b", "a", "gateway", "GET", 1, 8, "client"),
            make.span("c", "b", "orders", "GET /", 2, 7, "server"),
        ]
        assert notes(make, spans) == []

    def test_a_parent_that_never_arrived(self, make):
        spans = [make.span("b", "lost", "orders", "GET /x", 0, 9), make.span("c", "lost", "orders", "GET /y", 1, 9)]
        assert notes(make, spans) == [
            (
                "missing_parent",
                (
                    "parent span lost of GET /x (orders) and 1 more never arrived: "
                    "its service may not be instrumented, it is not exported yet, or it was sampled out"
                ),
            )
        ]

    def test_a_log_whose_span_never_arrived(self, make):
        ((kind, text),) = notes(make, [], [make.log("lost", "orders", "l", 1, "INFO", "x")])
        assert (kind, text.partition(":")[0]) == ("missing_parent", "span lost of 1 log line never arrived")

    def test_a_call_without_a_server_span(self, make):
        url = {"url.full": "https://user:secret@api.example/pay?card=1"}
        spans = [make.span("a", None, "orders", "POST", 0, 9, "client", attributes=url) for _ in range(1)]
        spans.append(make.span("b", None, "orders", "POST", 0, 8, "client", attributes=url))
        ((kind, text),) = notes(make, spans)
        assert kind == "uninstrumented_hop"
        assert text.startswith("2 calls from orders to api.example without a server span: it may be somebody else's")

    def test_a_call_to_a_service_of_this_story_says_so(self, make):
        here = {"server.address": "127.0.0.1", "server.port": 8001}
        spans = [
            make.span("a", None, "gateway", "GET", 0, 9, "client", attributes={"url.full": "http://127.0.0.1:8001/x"}),
            make.span("b", "a", "orders", "GET /x", 1, 8, "server", attributes=here),
            make.span(
                "c", None, "gateway", "GET", 10, 12, "client", attributes={"url.full": "http://127.0.0.1:8001/y"}
            ),
        ]
        ((_, text),) = notes(make, spans)
        assert "though this story has other spans of it" in text

    def test_databases_nested_client_spans_and_calls_that_got_no_answer_are_no_hops(self, make):
        spans = [
            make.span("a", None, "s", "SELECT", 0, 9, "client", attributes={"db.system": "sqlite"}),
            make.span("b", None, "s", "GET", 0, 9, "client", error=True),
            make.span("c", None, "s", "GET", 0, 9, "client"),
            make.span("d", "c", "s", "GET", 1, 8, "client"),
            make.span("e", "d", "other", "GET /", 2, 7, "server"),
        ]
        assert notes(make, spans) == []

    def test_baggage_that_did_not_fit_is_told_where_it_happened(self, make):
        left_out = {"otelctx.baggage.left_out": 2, "otelctx.baggage.left_out_fields": ["tenant"]}
        spans = [
            make.span("a", None, "gateway", "GET", 0, 9, "client", attributes=left_out),
            make.span("b", "a", "orders", "GET /", 1, 8, "server", attributes={"otelctx.baggage.dropped": 2}),
        ]
        assert notes(make, spans) == [
            (
                "baggage_left_out",
                "2 baggage members (tenant) did not fit the baggage that gateway sent in GET, and stayed behind",
            )
        ]

    def test_baggage_that_was_lost_before_the_story_begins_is_told_where_it_is_missed(self, make):
        spans = [make.span("b", None, "orders", "GET /", 1, 8, "server", attributes={"otelctx.baggage.dropped": 1})]
        ((kind, text),) = notes(make, spans)
        assert kind == "baggage_left_out"
        assert text.startswith("1 baggage member did not reach orders: a service before it")

    def test_records_without_a_request_id(self, make):
        spans = [
            make.span("a", None, "gateway", "GET /", 0, 9, "server"),
            make.span("b", "a", "legacy", "GET /", 1, 8, "server", request_id=None, attributes={}),
        ]
        logs = [make.log("b", "legacy", "l", 2, "INFO", "x", request_id=None)]
        assert notes(make, spans, logs) == [
            (
                "no_request_id",
                (
                    "1 span and 1 log line of legacy without a request id: "
                    "it may run without otelctx, or this is work of no request"
                ),
            )
        ]

    def test_a_trace_without_any_request_id_says_it_once(self, make):
        ((kind, text),) = notes(make, [make.span("a", None, "plain", "GET /", 0, 9, request_id=None)])
        assert (kind, text.partition(":")[0]) == ("no_request_id", "nothing here carries a request id")

    def test_a_clock_that_is_behind(self, make):
        spans = [
            make.span("a", None, "gateway", "GET", 10, 20),
            make.span("b", "a", "orders", "GET /", 4, 8, "server"),
            make.span("c", "a", "orders", "GET /", 9.9, 15, "server"),
        ]
        ((kind, text),) = notes(make, spans)
        assert kind == "clock_skew"
        assert text.startswith("the clock of orders is behind that of gateway by 6.00 ms or more")

    def test_broken_identifiers(self, make):
        spans = [
            make.span("a", "b", "s", "one", 0, 9),
            make.span("b", "a", "s", "two", 1, 9),
            make.span("c", None, "s", "three", 2, 9),
            make.span("c", None, "s", "four", 3, 9),
        ]
        assert notes(make, spans) == [
            ("parent_cycle", "2 spans name each other as parents: one, two"),
            ("duplicate_span_id", "2 different spans have the id c"),
        ]
