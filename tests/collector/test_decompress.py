"""Streaming decompression gives back what went in, and never more than its bound."""

from __future__ import annotations

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelctx.collector.decompress import decoder_for
from otelctx.collector.refusal import TOO_LARGE, RefusedError


def decoded(encoding, data, limit, step):
    decoder = decoder_for(encoding, limit)
    produced = b""
    for start in range(0, len(data), step):
        for piece in decoder.feed(data[start : start + step]):
            produced += piece
            assert len(produced) <= limit
    decoder.finish()
    return produced


@given(
    st.binary(max_size=3_000),
    st.integers(1, 200),
    st.sampled_from([("gzip", gzip.compress), ("deflate", zlib.compress)]),
)
def test_what_was_compressed_comes_back_whatever_the_chunks(data, step, codec):
    encoding, compress = codec
    assert decoded(encoding, compress(data), 10_000, step) == data


@given(st.integers(0, 400_000), st.integers(64, 70_000))
def test_long_runs_come_back_or_stop_at_the_limit(size, step):
    packed = gzip.compress(bytes(size), 9)
    if size <= 200_000:
        assert decoded("gzip", packed, 200_000, step) == bytes(size)
    else:
        with pytest.raises(RefusedError) as refused:
            decoded("gzip", packed, 200_000, step)
        assert refused.value.kind == TOO_LARGE


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate"]))
def test_garbage_is_refused_and_nothing_else(data, encoding):
    with suppress(RefusedError):
        decoded(encoding, data, 1_000, 50)


def test_several_gzip_members_are_one_body():
    assert decoded("gzip", gzip.compress(b"a") + gzip.compress(b"b"), 100, 7) == b"ab"


def test_what_follows_a_deflate_stream_is_refused():
    with pytest.raises(RefusedError):
        decoded("deflate", zlib.compress(b"a") + b"more", 100, 1_000)
