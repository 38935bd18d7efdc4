"""What one request over gRPC comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from otelctx.export.endpoint import Endpoint
from otelctx.export.outcomes import Delivered, Outcome, Refused, Unavailable
from otelctx.export.protocol import SIGNALS
from otelctx.export.sending_grpc import GrpcSender

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


class Logs(grpc.GenericRpcHandler):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def service(self, handler_call_details: Any) -> Any:
        is_ours = handler_call_details.method == "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        return grpc.unary_unary_rpc_method_handler(self._answer) if is_ours else None


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Endpoint]]:
    servers = []

    def start(answer: Answer) -> Endpoint:
        server = grpc.server(ThreadPoolExecutor(1), handlers=[Logs(answer)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return Endpoint(f"http://127.0.0.1:{port}", "grpc")

    yield start
    for server in servers:
        server.stop(None).wait()


def send(endpoint: Endpoint, payload: bytes = b"payload") -> Outcome:
    sender = GrpcSender(SIGNALS["logs"], endpoint)
    try:
        return sender.send(payload)
    finally:
        sender.close()


def failing(code: grpc.StatusCode, retry_seconds: float | None = None) -> Answer:
    def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
        if retry_seconds is not None:
            delay = Duration()
            delay.FromNanoseconds(int(retry_seconds * 1e9))
            detail = AnyMessage()
            detail.Pack(RetryInfo(retry_delay=delay))
            status = Status(code=code.value[0], details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, "s3cret")

    return answer


class TestTheAnswer:
    def test_success_is_delivered_with_headers_and_compression(self, serve: Callable[[Answer], Endpoint]) -> None:
        seen: list[Any] = []

        def answer(payload: bytes, context: grpc.ServicerContext) -> bytes:
            seen.append((payload, dict(context.invocation_metadata()).get("api-key")))
            return b""

        endpoint = replace(serve(answer), headers={"api-key": "s3cret"}, compression="gzip")
        assert send(endpoint) == Delivered()
        assert seen == [(b"payload", "s3cret")]

    def test_partial_success_says_how_many_were_rejected(self, serve: Callable[[Answer], Endpoint]) -> None:
        message = ExportLogsServiceResponse()
        message.partial_success.rejected_log_records = 5
        assert send(serve(lambda *_: message.SerializeToString())) == Delivered(rejected=5)

    @pytest.mark.parametrize(
        "name", ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"]
    )
    def test_what_may_be_tried_again(self, serve: Callable[[Answer], Endpoint], name: str) -> None:
        assert send(serve(failing(grpc.StatusCode[name]))) == Unavailable(f"gRPC status {name}")

    def test_retry_info_says_when(self, serve: Callable[[Answer], Endpoint]) -> None:
        endpoint = serve(failing(grpc.StatusCode.RESOURCE_EXHAUSTED, 2.5))
        assert send(endpoint) == Unavailable("gRPC status RESOURCE_EXHAUSTED", after=2.5)

    @pytest.mark.parametrize(
        ("name", "for_content"),
        [
            ("RESOURCE_EXHAUSTED", True),
            ("INVALID_ARGUMENT", True),
            ("UNAUTHENTICATED", False),
            ("UNIMPLEMENTED", False),
        ],
    )
    def test_what_may_not(self, serve: Callable[[Answer], Endpoint], name: str, for_content: bool) -> None:
        assert send(serve(failing(grpc.StatusCode[name]))) == Refused(f"gRPC status {name}", for_content)


class TestNoAnswer:
    def test_nobody_listens(self, closed_port: int) -> None:
        outcome = send(Endpoint(f"http://127.0.0.1:{closed_port}", "grpc"))
        assert outcome == Unavailable("gRPC status UNAVAILABLE", is_refused=True)

    def test_a_black_hole_takes_the_timeout(self, black_hole: int) -> None:
        outcome = send(Endpoint(f"http://127.0.0.1:{black_hole}", "grpc", timeout=0.3))
        assert isinstance(outcome, Unavailable)
        assert not outcome.is_refused

    def test_a_certificate_file_that_is_not_there_may_come(self, closed_port: int) -> None:
        endpoint = Endpoint(f"https://127.0.0.1:{closed_port}", "grpc", certificate="/nowhere/ca.pem")
        assert send(endpoint) == Unavailable("FileNotFoundError")
