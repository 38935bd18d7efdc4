"""What one request over HTTP comes to."""

from __future__ import annotations

import gzip
import time
from dataclasses import replace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otelctx.export.endpoint import Endpoint
from otelctx.export.outcomes import Delivered, Outcome, Refused, Unavailable
from otelctx.export.protocol import SIGNALS
from otelctx.export.sending_http import HttpSender, retry_after
from tests.export.conftest import Scripted


def send(endpoint: Endpoint, payload: bytes = b"payload") -> Outcome:
    sender = HttpSender(SIGNALS["traces"], endpoint)
    try:
        return sender.send(payload)
    finally:
        sender.close()


class TestTheAnswer:
    def test_success_is_delivered(self, scripted: Scripted) -> None:
        assert send(scripted.endpoint) == Delivered()
        ((headers, body),) = scripted.received
        assert (headers["content-type"], body) == ("application/x-protobuf", b"payload")

    def test_partial_success_says_how_many_were_rejected(self, scripted: Scripted) -> None:
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 3
        answer.partial_success.error_message = "too old"
        scripted.answers.append((200, {}, answer.SerializeToString()))
        assert send(scripted.endpoint) == Delivered(rejected=3)

    @pytest.mark.parametrize("body", [b"{}", b"\xff" * 100, b"x" * 1_000_000])
    def test_success_with_a_body_that_is_not_understood_is_success(self, scripted: Scripted, body: bytes) -> None:
        scripted.answers.append((200, {}, body))
        assert send(scripted.endpoint) == Delivered()

    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_what_may_be_tried_again(self, scripted: Scripted, status: int) -> None:
        scripted.answers.append((status, {"Retry-After": "7"}, b""))
        assert send(scripted.endpoint) == Unavailable(f"HTTP status {status}", after=7.0)

    @pytest.mark.parametrize(
        ("status", "for_content"),
        [(400, True), (401, False), (403, False), (404, False), (413, True), (500, True), (501, False)],
    )
    def test_what_may_not(self, scripted: Scripted, status: int, for_content: bool) -> None:
        scripted.answers.append((status, {}, b"s3cret"))
        assert send(scripted.endpoint) == Refused(f"HTTP status {status}", for_content)

    def test_a_redirect_is_not_followed_since_the_headers_are_for_this_endpoint(self, scripted: Scripted) -> None:
        scripted.answers.append((307, {"Location": f"http://127.0.0.2:{scripted.port}/"}, b""))
        assert isinstance(send(replace(scripted.endpoint, headers={"api-key": "s3cret"})), Refused)
        assert len(scripted.received) == 1


class TestNoAnswer:
    def test_nobody_listens(self, closed_port: int) -> None:
        outcome = send(Endpoint(f"http://127.0.0.1:{closed_port}/v1/traces"))
        assert outcome == Unavailable("ConnectionError", is_refused=True)

    def test_a_black_hole_takes_the_timeout(self, black_hole: int) -> None:
        outcome = send(Endpoint(f"http://127.0.0.1:{black_hole}/v1/traces", timeout=0.2))
        assert outcome == Unavailable("ReadTimeout")

    def test_a_certificate_file_that_is_not_there_may_come(self, scripted: Scripted) -> None:
        outcome = send(Endpoint(f"https://127.0.0.1:{scripted.port}/v1/traces", certificate="/nowhere/ca.pem"))
        assert outcome == Unavailable("OSError")


class TestHow:
    def test_headers_and_compression_are_those_of_the_endpoint(self, scripted: Scripted) -> None:
        send(replace(scripted.endpoint, compression="gzip", headers={"api-key": "s3cret"}), b"payload" * 100)
        ((headers, body),) = scripted.received
        assert (headers["content-encoding"], headers["api-key"]) == ("gzip", "s3cret")
        assert gzip.decompress(body) == b"payload" * 100


class TestRetryAfter:
    @pytest.mark.parametrize("text", ["", "soon", "-5", "1e9", "٣", "Thu, 99 Foo"])
    def test_what_is_no_time_asks_for_nothing(self, text: str) -> None:
        assert retry_after(text, time.time()) is None

    def test_a_time_that_is_over_asks_for_no_wait(self) -> None:
        assert retry_after("Thu, 01 Jan 1970 00:00:30 GMT", time.time()) == 0.0
