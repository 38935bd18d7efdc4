"""A service with plain OpenTelemetry, its stock propagators included, calls one with otelctx and is called by it."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(scope="module")
def neighbour(make_service: Any) -> Any:
    return make_service(
        "uvicorn",
        "--port",
        "{port}",
        "neighbour:app",
        launcher="opentelemetry-instrument",
        instrumentations=("fastapi", "httpx"),
        OTELCTX_ENABLED="false",
    )


@pytest.fixture(scope="module")
def shop(make_service: Any) -> Any:
    return make_service("uvicorn", "--port", "{port}", "shop:app", instrumentations=("fastapi", "httpx"))


@pytest.fixture(scope="module")
def caller(make_service: Any) -> Any:
    return make_service("uvicorn", "--port", "{port}", "caller:app", instrumentations=("httpx",))


@pytest.fixture(scope="module")
def answers(neighbour: Any, shop: Any, caller: Any) -> dict[str, Any]:
    for service in (neighbour, shop, caller):
        service.wait_until_ready()
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    to_neighbour = f"/call?url=http://127.0.0.1:{neighbour.port}/baggage"
    from_neighbour = f"/call?url=http://127.0.0.1:{caller.port}/called"
    user = "Jürgen Müller"
    answers = {
        "to": shop.get(to_neighbour, {"x-request-id": "to-the-neighbour", "authorization": user} | trace),
        "from": neighbour.get(from_neighbour, {"baggage": "request_id=from-the-neighbour,user_id=J%C3%BCrgen"} | trace),
    }
    caller.stop()
    shop.stop()
    neighbour.stop(signal.SIGINT)  # plain OpenTelemetry would lose what it holds when SIGTERM ends uvicorn
    return answers


class TestToTheNeighbour:
    def test_it_sees_our_remote_fields_as_baggage(self, answers: dict[str, Any]) -> None:
        assert json.loads(answers["to"].body) == {"request_id": "to-the-neighbour", "user_id": "Jürgen Müller"}

    def test_its_spans_go_on_with_our_trace(self, answers: dict[str, Any], neighbour: Any, shop: Any) -> None:
        (called,) = [span for span in neighbour.spans() if span["name"] == "GET /baggage" and span["kind"] == "server"]
        (calling,) = [span for span in shop.spans() if span["kind"] == "client"]
        assert (called["trace_id"], called["parent_span_id"]) == (TRACE, calling["span_id"])
        assert calling["user_id"] == "Jürgen Müller"

    def test_it_knows_nothing_of_requests(self, answers: dict[str, Any], neighbour: Any) -> None:
        assert {span["request_id"] for span in neighbour.spans()} == {None}


class TestFromTheNeighbour:
    def test_we_take_the_request_from_its_baggage(self, answers: dict[str, Any], caller: Any) -> None:
        records = [*caller.spans(), *caller.logs(request_id="from-the-neighbour")]
        assert {record["user_id"] for record in records} == {"Jürgen"}
        assert {record["request_id"] for record in records} == {"from-the-neighbour"}
        assert {record["scope"] for record in records} >= {"app", "uvicorn.access"}

    def test_we_go_on_with_its_trace(self, answers: dict[str, Any], neighbour: Any, caller: Any) -> None:
        (called,) = caller.spans()
        (calling,) = [span for span in neighbour.spans() if span["kind"] == "client"]
        assert (called["trace_id"], called["parent_span_id"]) == (TRACE, calling["span_id"])
