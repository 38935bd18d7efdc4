"""The headers of a scope, however a server gives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.measures import content_length

names = st.sampled_from([b"host", b"Host", b"traceparent", b"TraceParent", b"x-request-id", b"accept", b"1", b""])
values = st.binary(max_size=4)


@given(st.lists(st.tuples(names, values), max_size=6), st.sampled_from([list, tuple]))
def test_all_values_of_a_name_are_found_in_their_order(headers: list[tuple[bytes, bytes]], kind: Any) -> None:
    found = Headers({"headers": kind(headers)})
    for name in (b"host", b"traceparent", b"x-request-id", b"accept", b"1", b""):
        expected = [value for key, value in headers if key.lower() == name]
        texts = [value.decode("latin-1") for value in expected]
        assert list(found.values(name)) == expected
        assert found.get({}, name.decode()) == (texts or None)
        assert found.otelctx_headers({name: "n"}) == ({"n": texts} if texts else {})
    assert set(found.keys({})) == {key.lower().decode() for key, _ in headers}


@pytest.mark.parametrize("headers", [None, [], [["host", "a"]], [("Host", "a"), ("host", "b")]])
def test_none_and_texts_fail_nothing(headers: Any) -> None:
    assert Headers({"headers": headers}).get({}, "traceparent") is None


def test_an_iterator_is_there_for_the_application_too() -> None:
    scope: Any = {"headers": iter([(b"host", b"a")])}
    assert Headers(scope).get(scope, "host") == ["a"]
    assert [*scope["headers"]] == [(b"host", b"a")]


@pytest.mark.parametrize(
    ("value", "length"), [(b"12", 12), (b"", None), (b"1" * 19, int("1" * 19)), (b"1" * 5000, None), (b"-1", None)]
)
def test_a_content_length_is_a_number_or_nothing(value: bytes, length: int | None) -> None:
    assert content_length([(b"accept", b"*/*"), (b"Content-Length", value)]) == length
