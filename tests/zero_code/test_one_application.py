"""
One application that calls `set` and `bind`, and all that a request can be: a stream, a socket, one that is broken off.

A single run serves everything; each test looks at its own requests, told apart by their ids.
"""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead
from typing import Any

import pytest
from websockets.sync.client import connect

FIELDS = "plan:metric:metric_limit=2, step"


class Shop:
    """The run: requests first, then what it left at the collector."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.answers: dict[str, Any] = {}
        self.bodies: list[str] = []

    def get(self, request_id: str, path: str, user: str = "alice") -> None:
        self.answers[request_id] = self.service.get(path, {"x-request-id": request_id, "authorization": user})

    def break_off(self) -> None:
        """Begin to read a response that never ends, and go away."""
        with socket.create_connection(("127.0.0.1", self.service.port)) as client:
            client.sendall(
                b"GET /endless HTTP/1.1\r\nhost: x\r\nx-request-id: broken-off\r\nauthorization: eve\r\n\r\n"
            )
            assert b"200 OK" in client.recv(1000)

    def pipeline(self) -> None:
        """Send two requests at once over one connection, and a third when both are answered."""
        requests = b"".join(
            b"GET /orders/1 HTTP/1.1\r\nhost: x\r\nx-request-id: pipelined-%d\r\nauthorization: user-%d\r\n%s\r\n"
            % (number, number, b"connection: close\r\n" if number == 2 else b"")
            for number in range(3)
        )
        first, last = requests[: requests.rindex(b"GET")], requests[requests.rindex(b"GET") :]
        received = b""
        with socket.create_connection(("127.0.0.1", self.service.port)) as client:
            client.sendall(first)
            while received.count(b'"user-') < 2:
                received += client.recv(10_000)
            client.sendall(last)
            while chunk := client.recv(10_000):
                received += chunk
        self.pipelined = received

    def socket(self) -> None:
        with connect(
            f"ws://127.0.0.1:{self.service.port}/socket", additional_headers={"x-request-id": "socket"}
        ) as client:
            self.handshake: Any = client.response and client.response.headers
            for name in ("alice", "bob"):
                client.send(name)
                self.bodies.append(str(client.recv()))

    def crowd(self, size: int) -> None:
        with ThreadPoolExecutor(size) as pool:
            for number in range(size):
                pool.submit(self.get, f"crowd-{number}", f"/together/{size}", f"user-{number}")

    def finish(self) -> None:
        self.service.stop()
        self.spans: list[dict[str, Any]] = self.service.spans()
        self.logs: list[dict[str, Any]] = self.service.logs()

    def span(self, request_id: str) -> dict[str, Any]:
        """Return the server span of a request."""
        (span,) = [span for span in self.spans if span["request_id"] == request_id and span["kind"] == "server"]
        return span

    def log(self, request_id: str, body: str) -> dict[str, Any]:
        """Return the one log record of a request whose text contains *body*."""
        (log,) = [log for log in self.logs if log["request_id"] == request_id and body in log["body"]]
        return log


CROWD = 20


@pytest.fixture(scope="module")
def shop(make_service: Any) -> Shop:
    service = make_service(
        "uvicorn",
        "--port",
        "{port}",
        "shop:app",
        instrumentations=("fastapi",),
        OTELCTX_FIELDS=FIELDS,
        OTEL_PYTHON_FASTAPI_EXCLUDED_URLS="healthz",
        OTEL_SEMCONV_STABILITY_OPT_IN="http/dup",
    )
    service.wait_until_ready()
    shop = Shop(service)
    shop.get("order", "/orders/7")
    shop.get("order-of-bob", "/orders/8", "bob")
    shop.get("order-of-carol", "/orders/9", "carol")
    shop.get("logs", "/logs")
    shop.get("healthz", "/healthz")
    shop.get("stream", "/stream")
    shop.break_off()
    with pytest.raises(IncompleteRead):
        shop.get("partial", "/partial")
    shop.pipeline()
    shop.socket()
    shop.crowd(CROWD)
    shop.finish()
    return shop


class TestSet:
    """What is set below is seen above, and on what comes later."""

    def test_a_value_of_a_sync_dependency_is_on_the_server_span_and_the_access_line(self, shop: Shop) -> None:
        assert shop.span("order")["user_id"] == "alice"
        assert shop.log("order", '"GET /orders/7')["user_id"] == "alice"

    def test_it_is_on_spans_and_logs_that_come_later(self, shop: Shop) -> None:
        (inner,) = [span for span in shop.spans if span["name"] == "load order" and span["request_id"] == "order"]
        assert (inner["user_id"], inner["attributes"]["plan"]) == ("alice", "plan of alice")
        assert inner["trace_id"] == shop.span("order")["trace_id"]
        assert shop.log("order", "loading")["user_id"] == "alice"
        assert shop.log("order", "loading")["span_id"] == inner["span_id"]

    def test_it_is_in_work_after_the_response(self, shop: Shop) -> None:
        log = shop.log("order", "in the background")
        assert (log["user_id"], log["attributes"]["step"]) == ("alice", "loaded")

    def test_the_server_span_tells_of_each_change(self, shop: Shop) -> None:
        events = [event["attributes"] for event in shop.span("order")["events"] if event["name"] == "otelctx.set"]
        assert events == [{"user.id": "alice", "plan": "plan of alice"}, {"step": "loaded"}]
        assert shop.span("order")["attributes"]["step"] == "loaded"

    def test_the_server_span_says_where_the_request_id_came_from(self, shop: Shop) -> None:
        assert shop.span("order")["attributes"]["otelctx.request_id.origin"] == "received"

    def test_a_value_set_while_streaming_is_written_to_the_server_span(self, shop: Shop) -> None:
        assert shop.span("stream")["attributes"]["step"] == "streamed"


class TestLogs:
    """Every record, whatever way it takes."""

    def test_an_explicit_extra_wins_and_does_not_raise(self, shop: Shop) -> None:
        log = shop.log("logs", "explicit")
        assert shop.answers["logs"].status == 200
        assert (log["attributes"]["user.id"], log["attributes"]["size"]) == ("of the record", 3)

    def test_an_explicit_span_attribute_wins(self, shop: Shop) -> None:
        (span,) = [span for span in shop.spans if span["name"] == "explicit"]
        assert (span["user_id"], span["request_id"]) == ("of the span", "logs")

    def test_a_logger_that_does_not_propagate_is_exported_once(self, shop: Shop) -> None:
        log = shop.log("logs", "on its own")
        assert (log["user_id"], log["trace_id"]) == ("of the request", shop.span("logs")["trace_id"])

    def test_a_record_that_another_thread_writes_keeps_what_it_carries(self, shop: Shop) -> None:
        assert "from the queue: queued of logs by of the request" in shop.service.output
        assert shop.log("logs", "queued")["trace_id"] == shop.span("logs")["trace_id"]

    def test_a_bound_value_is_on_the_records_of_its_block_and_marked(self, shop: Shop) -> None:
        attributes = shop.log("logs", "bound")["attributes"]
        assert (attributes["step"], attributes["otelctx.fields"]) == ("bound", ["step"])
        assert "step" not in shop.span("logs")["attributes"]

    def test_names_of_log_stamps_are_not_sent_beside_the_attributes(self, shop: Shop) -> None:
        names = {name for log in shop.logs for name in log["attributes"]}
        assert names.isdisjoint({"trace_id", "span_id", "trace_flags", "user_id"})


class TestExcludedRoute:
    """No span, and everything else."""

    def test_it_has_no_span(self, shop: Shop) -> None:
        assert [span for span in shop.spans if span["request_id"] == "healthz"] == []

    def test_its_id_is_echoed_and_on_its_logs(self, shop: Shop) -> None:
        assert shop.answers["healthz"].header("x-request-id") == "healthz"
        assert shop.log("healthz", "healthy")["trace_id"] in {None, ""}
        assert shop.log("healthz", '"GET /healthz')["scope"] == "uvicorn.access"


class TestStream:
    def test_what_is_logged_while_streaming_carries_the_request(self, shop: Shop) -> None:
        for number in range(3):
            log = shop.log("stream", f"chunk {number}")
            assert (log["user_id"], log["trace_id"]) == ("alice", shop.span("stream")["trace_id"])
        assert shop.answers["stream"].body == b"0\n1\n2\n"

    def test_a_client_that_goes_away_leaves_a_request_that_ends(self, shop: Shop) -> None:
        log = shop.log("broken-off", "the client has gone")
        assert (log["user_id"], log["trace_id"]) == ("eve", shop.span("broken-off")["trace_id"])

    def test_an_error_after_the_response_has_begun_is_on_the_span_and_in_the_log(self, shop: Shop) -> None:
        span = shop.span("partial")
        assert span["status"]["code"] == "error"
        assert {event["attributes"]["exception.message"] for event in span["events"]} == {"too late for a 500"}
        assert shop.log("partial", "Exception in ASGI application")["trace_id"] == span["trace_id"]


class TestWebSocket:
    def test_its_id_is_echoed_on_the_handshake(self, shop: Shop) -> None:
        assert shop.handshake["x-request-id"] == "socket"
        assert shop.bodies == ["socket", "socket"]

    def test_its_logs_carry_what_was_set_last(self, shop: Shop) -> None:
        logs = [log for log in shop.logs if log["request_id"] == "socket"]
        assert [log["user_id"] for log in logs if log["body"] == "message"] == ["alice", "bob"]
        assert [log["user_id"] for log in logs if log["body"] == "closed"] == ["bob"]
        assert {log["trace_id"] for log in logs} == {shop.span("socket")["trace_id"]}

    def test_it_has_one_server_span(self, shop: Shop) -> None:
        assert shop.span("socket")["name"] == "HTTP /socket"
        assert len([span for span in shop.spans if span["request_id"] == "socket"]) == 1


class TestRequestsSideBySide:
    def test_requests_over_one_connection_never_mix(self, shop: Shop) -> None:
        for number in range(3):
            assert f"x-request-id: pipelined-{number}".encode() in shop.pipelined
            records = [*shop.spans, *shop.logs]
            users = {record["user_id"] for record in records if record["request_id"] == f"pipelined-{number}"}
            assert users == {f"user-{number}"}

    def test_requests_at_the_same_time_never_mix(self, shop: Shop) -> None:
        for number in range(CROWD):
            assert shop.answers[f"crowd-{number}"].body == f'"user-{number}"'.encode()
            assert shop.answers[f"crowd-{number}"].header("x-request-id") == f"crowd-{number}"
            assert shop.log(f"crowd-{number}", "seen ")["body"] == f"seen user-{number}"
            records = [*shop.spans, *shop.logs]
            users = {record["user_id"] for record in records if record["request_id"] == f"crowd-{number}"}
            assert users == {f"user-{number}"}


class TestSpans:
    def test_there_is_no_span_for_send_or_receive(self, shop: Shop) -> None:
        assert {span["name"] for span in shop.spans} == {
            *("GET /orders/{order}", "GET /logs", "GET /stream", "GET /endless", "GET /partial", "HTTP /socket"),
            *("GET /together/{size}", "load order", "explicit", "BackgroundTask info"),
        }


class TestMetrics:
    """The server's duration, in the old and in the new form."""

    @pytest.mark.parametrize("name", ["http.server.duration", "http.server.request.duration"])
    def test_they_have_the_fields_that_opted_in_and_never_more_than_allowed(self, shop: Shop, name: str) -> None:
        points = shop.service.collector.metrics(service=shop.service.name, name=name)
        plans = {point["attributes"].get("plan") for point in points}
        assert plans == {None, "plan of alice", "plan of bob", "other"}
        assert not any("user.id" in point["attributes"] or "step" in point["attributes"] for point in points)

    def test_the_new_form_has_the_route(self, shop: Shop) -> None:
        points = shop.service.collector.metrics(service=shop.service.name, name="http.server.request.duration")
        routes = {point["attributes"].get("http.route") for point in points}
        assert {"/orders/{order}", "/logs", "/stream"} <= routes

    def test_each_request_is_counted_once(self, shop: Shop) -> None:
        points = shop.service.collector.metrics(service=shop.service.name, name="http.server.request.duration")
        orders = [point for point in points if point["attributes"].get("http.route") == "/orders/{order}"]
        assert sum(int(point["count"]) for point in orders) == 6
