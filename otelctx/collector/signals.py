"""
The three OTLP signals: their messages and how their requests become rows.

Everything that differs between traces, logs and metrics on the way in stands in this one table.
Source: OTLP specification, "OTLP/HTTP Request", "Partial Success" and the services of opentelemetry-proto.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from otelctx.collector.flatten_logs import flatten_logs
from otelctx.collector.flatten_metrics import flatten_metrics
from otelctx.collector.flatten_spans import flatten_spans
from otelctx.collector.otlp_json import parse_json
from otelctx.collector.refusal import MALFORMED, RefusedError
from otelctx.collector.wire import check_messages, layout_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelctx.collector.batch import Batch
    from otelctx.collector.wire import Layout

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Signal(Generic[M]):
    """
    One signal.

    Attributes:
        name: ``traces``, ``logs`` or ``metrics``; the path is ``/v1/`` and this name.
        service: Full name of the gRPC service, whose one method is ``Export``.
        request: What a sender sends.
        flatten: Makes the batch of a request and its bytes.
        answer: Makes the answer, given how many records were rejected and why.
    """

    name: str
    service: str
    request: type[M]
    flatten: Callable[[M, bytes], Batch]
    answer: Callable[[int, str], Message]

    @functools.cached_property
    def layout(self) -> Layout:
        """Which of the request's fields hold messages."""
        return layout_of(self.request.DESCRIPTOR)

    def decode(self, body: bytes, *, is_json: bool, keep_payload: bool) -> Batch:
        """
        Make the batch of *body*.

        Args:
            body: One export request, decompressed.
            is_json: Whether it is OTLP/JSON; otherwise it is protobuf.
            keep_payload: Whether the batch carries the request in protobuf, for forwarding.

        Raises:
            RefusedError: when *body* is not such a request.
        """
        kind = self.request
        request = parse_json(body, kind) if is_json else parse_protobuf(body, kind, self.layout)
        batch = self.flatten(request, body)
        if keep_payload:
            batch.payload = request.SerializeToString() if is_json else body
        return batch


def parse_protobuf(body: bytes, message: type[M], layout: Layout) -> M:
    """
    Read *body* as *message*, which has *layout*; unknown fields are ignored, as protobuf does.

    Raises:
        RefusedError: when it is something else (400), or when it would take too much memory (413).
    """
    check_messages(body, layout)
    request = message()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        reason = f"The body is not valid protobuf; send {message.DESCRIPTOR.name}"
        raise RefusedError(MALFORMED, reason) from error
    return request


def answer_traces(rejected: int, reason: str) -> Message:
    """Make an ExportTraceServiceResponse."""
    if not rejected:
        return traces.ExportTraceServiceResponse()
    partial = traces.ExportTracePartialSuccess(rejected_spans=rejected, error_message=reason)
    return traces.ExportTraceServiceResponse(partial_success=partial)


def answer_logs(rejected: int, reason: str) -> Message:
    """Make an ExportLogsServiceResponse."""
    if not rejected:
        return logs.ExportLogsServiceResponse()
    partial = logs.ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=reason)
    return logs.ExportLogsServiceResponse(partial_success=partial)


def answer_metrics(rejected: int, reason: str) -> Message:
    """Make an ExportMetricsServiceResponse."""
    if not rejected:
        return metrics.ExportMetricsServiceResponse()
    partial = metrics.ExportMetricsPartialSuccess(rejected_data_points=rejected, error_message=reason)
    return metrics.ExportMetricsServiceResponse(partial_success=partial)


TRACES = Signal(
    "traces",
    "opentelemetry.proto.collector.trace.v1.TraceService",
    traces.ExportTraceServiceRequest,
    flatten_spans,
    answer_traces,
)
LOGS = Signal(
    "logs",
    "opentelemetry.proto.collector.logs.v1.LogsService",
    logs.ExportLogsServiceRequest,
    flatten_logs,
    answer_logs,
)
METRICS = Signal(
    "metrics",
    "opentelemetry.proto.collector.metrics.v1.MetricsService",
    metrics.ExportMetricsServiceRequest,
    flatten_metrics,
    answer_metrics,
)
