"""OTLP over gRPC: bad messages get their code, and compressed ones are opened within the bound."""

from __future__ import annotations

import gzip
import os

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def export():
    """Call Export with raw bytes."""
    channels = []

    def export(running, body, compression=grpc.Compression.NoCompression, method=METHOD):
        channels.append(grpc.insecure_channel(f"127.0.0.1:{running.collector.grpc_port}"))
        return channels[-1].unary_unary(method)(body, compression=compression, timeout=20)

    yield export
    for channel in channels:
        channel.close()


def code_of(raised):
    return raised.value.code()


def test_an_empty_request_is_fine(shared, export):
    assert export(shared, b"") == b""


def test_broken_protobuf(shared, export):
    with pytest.raises(grpc.RpcError) as raised:
        export(shared, b"\xff\xff")
    assert code_of(raised) == grpc.StatusCode.INVALID_ARGUMENT
    assert "ExportTraceServiceRequest" in raised.value.details()


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_bomb_is_refused_without_being_opened(spawn, shared, export, compression):
    # 15 MB of zeros pack into 15 kB; the collector allows 1 MB.
    with pytest.raises(grpc.RpcError) as raised:
        export(shared, bytes(15_000_000), compression)
    assert code_of(raised) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert shared.stats()["bytes_in_flight"] == 0


def test_an_oversized_message(shared, export):
    with pytest.raises(grpc.RpcError) as raised:
        export(shared, os.urandom(1_100_000))
    assert code_of(raised) == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_cut_gzip(shared, export):
    with pytest.raises(grpc.RpcError) as raised:
        export(shared, gzip.compress(b"x")[:-3])
    assert code_of(raised) == grpc.StatusCode.INVALID_ARGUMENT


def test_an_unknown_method(shared, export):
    with pytest.raises(grpc.RpcError) as raised:
        export(shared, b"", method="/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export")
    assert code_of(raised) == grpc.StatusCode.UNIMPLEMENTED


def test_a_store_that_cannot_take_it_asks_for_a_retry(start, export, otlp):
    running = start(max_store_bytes=4 * 2**20)
    body = otlp.trace({"attributes": {"long": "x" * 6_000_000}})
    with pytest.raises(grpc.RpcError) as raised:
        export(running, body)
    assert code_of(raised) == grpc.StatusCode.UNAVAILABLE
    details = dict(raised.value.trailing_metadata())["grpc-status-details-bin"]
    status, retry = Status.FromString(details), RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 5
