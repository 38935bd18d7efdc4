"""
The three signals as OTLP names them: their paths, their gRPC methods and what a collector answers.

Source: https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

SignalName = Literal["traces", "logs", "metrics"]


@dataclass(frozen=True)
class Signal:
    """
    What differs between the signals.

    Attributes:
        name: as in variables and paths.
        items: what one of its items is called, in messages and units.
        method: the full name of its gRPC method.
    """

    name: SignalName
    items: str
    method: str
    _response: Any
    _rejected: str

    def rejected(self, response: bytes) -> int:
        """
        Return how many items the collector did not take, though it took the request ("Partial Success").

        An answer that is not understood rejects nothing: its status said success.
        """
        message = self._response()
        try:
            message.ParseFromString(response)
        except DecodeError:
            return 0
        return max(0, int(getattr(message.partial_success, self._rejected)))


_COLLECTOR: Final = "/opentelemetry.proto.collector"

SIGNALS: Final[Mapping[SignalName, Signal]] = {
    "traces": Signal(
        "traces", "spans", f"{_COLLECTOR}.trace.v1.TraceService/Export", ExportTraceServiceResponse, "rejected_spans"
    ),
    "logs": Signal(
        "logs",
        "log records",
        f"{_COLLECTOR}.logs.v1.LogsService/Export",
        ExportLogsServiceResponse,
        "rejected_log_records",
    ),
    "metrics": Signal(
        "metrics",
        "data points",
        f"{_COLLECTOR}.metrics.v1.MetricsService/Export",
        ExportMetricsServiceResponse,
        "rejected_data_points",
    ),
}
