"""Hostile input costs bounded memory, measured on a process."""

from __future__ import annotations

import gzip
import zlib

import httpx
import pytest

ALLOWED_GROWTH = 120 * 2**20


def giant(encoding):
    """A quarter of a gigabyte of zeros, compressed to a quarter of a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()


@pytest.fixture(scope="module")
def bomb():
    return giant("gzip")


def test_bombs_and_tiny_messages_together(spawn, bomb):
    process = spawn("--store", ":memory:")
    with httpx.Client(base_url=process.url, timeout=60) as client:
        assert client.get("/api/requests").status_code == 200
        before = process.peak_memory()
        protobuf = {"content-type": "application/x-protobuf"}
        for body, headers in (
            (bomb, {"content-encoding": "gzip"}),
            (b"\x0a\x00" * (8 * 2**20 - 1), {}),
            (gzip.compress(b"\x0a\x00" * (8 * 2**20 - 1)), {"content-encoding": "gzip"}),
            (bytes(64 * 2**20), {}),
        ):
            assert client.post("/v1/traces", content=body, headers={**protobuf, **headers}).status_code == 413
        assert client.get("/healthz").json() == {"status": "ok"}
    assert process.peak_memory() - before < ALLOWED_GROWTH
