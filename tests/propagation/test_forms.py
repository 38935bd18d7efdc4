"""
What is written of a place, by the short way and the second time too, is what rule, declarations and codec say.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import Context

import otelctx
from otelctx import Field, declare
from otelctx.core.layers import Layer
from otelctx.core.redaction import use_keys
from otelctx.core.registry import registry
from otelctx.core.reports import counts
from otelctx.core.request import Request
from otelctx.core.state import layer_in, with_layer
from otelctx.errors import DestinationError
from otelctx.propagation import codec
from otelctx.propagation.destination import origin_of, parse
from otelctx.propagation.egress import ALL, NOTHING, Decision
from otelctx.propagation.forms import form_of

VISIBLE = r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?"
NAMES = ["request_id", "user_id", "tenant", "count", "last", "masked", "hidden", "local"]
# As they are declared, as baggage has them, and of nobody.
KEYS = [*NAMES, "app.tenant", "colour", "size"]
VALUES = st.sampled_from(["", "alice", "é, 1", " spaced ", "a b", "\x7f", "\t", "x" * 100, None])
CHANGES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
MEMBERS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["red", "ü", ""]), max_size=3)
FIELDS = st.one_of(st.just(ALL), st.frozensets(st.sampled_from(KEYS), min_size=1))


@pytest.fixture(autouse=True)
def _declared() -> None:
    use_keys([b"k" * 32])
    declare(
        Field("tenant", remote=True, key="app.tenant", header="x-tenant", priority=5),
        Field("count", type=int, remote=True),
        Field("last", remote=True, priority=-1),
        Field("masked", remote=True, header="x-masked", redact={"wire": "mask"}),
        Field("hidden", remote=True, header="x-hidden", redact={"wire": "drop"}),
        Field("local"),
    )


def expected(layer: Layer, decision: Decision) -> dict[str, str]:
    """Return the headers, put together step by step."""
    declared = registry()
    by_key = declared.by_key
    members = {
        key: text for key, text in layer.wire().items() if decision.allows(by_key[key].name if key in by_key else key)
    }
    declared.on_wire.redact(members)
    header, _ = codec.encode(members, layer.properties())
    headers = {name: members.get(field.baggage_key, "") for name, field in declared.headers.items()}
    return {
        **({"baggage": header} if header else {}),
        **{name: text for name, text in headers.items() if re.fullmatch(VISIBLE, text)},
    }


def written(layer: Layer, decision: Decision) -> dict[str, str]:
    header, headers, _ = form_of(layer, decision)
    return {**({"baggage": header} if header else {}), **dict(headers)}


@given(
    st.tuples(CHANGES, MEMBERS),
    st.tuples(st.lists(CHANGES, max_size=2), MEMBERS),
    st.lists(CHANGES, max_size=2),
    st.tuples(FIELDS, FIELDS),
)
def test_each_time_it_is_what_the_rule_lets_go_now(
    came: tuple[dict[str, Any], dict[str, str]],
    here: tuple[list[dict[str, Any]], dict[str, str]],
    writes: list[dict[str, Any]],
    rules: tuple[frozenset[str], frozenset[str]],
) -> None:
    values, carried = came
    bound, added = here
    layer = Layer(Request(dict(values), dict(carried)))
    for changes in bound:
        layer = Layer(layer.request, layer, dict(changes))
    context = with_layer(Context(), layer)
    for key, text in added.items():
        context = baggage.set_baggage(key, text, context)
    layer = layer_in(context) or layer
    for changes in [{}, *writes]:
        layer.write(changes)
        for fields in (*rules, *rules):
            decision = Decision(fields, trace=True)
            assert written(layer, decision) == expected(layer, decision)


class TestBetweenTwoWrites:
    def test_a_form_is_made_once(self) -> None:
        layer = Layer(Request({"user_id": "alice"}))
        decision = Decision(ALL, trace=True)
        assert form_of(layer, decision) is form_of(layer, Decision(ALL, trace=True))
        layer.write({"user_id": "bob"})
        assert "user_id=bob" in form_of(layer, decision)[0]

    def test_declarations_of_later_count(self) -> None:
        layer = Layer(Request({"user_id": "alice"}))
        assert form_of(layer, Decision(ALL, trace=True))[0].endswith(",user_id=alice")
        declare(Field("user_id"))
        assert "alice" not in form_of(layer, Decision(ALL, trace=True))[0]

    def test_what_is_left_out_is_counted_each_time(self) -> None:
        declare(*(Field(f"long{number}", remote=True, max_length=8000) for number in range(2)))
        context = with_layer(Context(), Layer(Request({"long0": "x" * 5000, "long1": "y" * 5000})))
        for times in (1, 2):
            otelctx.inject({}, context, destination="http://orders")
            assert counts()["baggage.left_out"] == times

    def test_what_stays_for_want_of_a_destination_is_counted_each_time(self) -> None:
        layer = Layer(Request({"user_id": "alice"}))
        for times in (1, 2):
            assert not form_of(layer, Decision(NOTHING, trace=True, is_named=False))[1]
            assert counts()["egress.unknown_destination"] == times


URLS = st.one_of(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["http://", "https://", "ws://", "HTTP://", "kafka://", "http:", "ftp://"]),
        st.sampled_from(
            ["orders", "Orders.", "10.0.0.1", "[::1]", "[::1", "a_b.example", "user@orders", "bücher.example"]
        ),
        st.sampled_from(["", ":80", ":", ":99999", ":x", "\\"]),
        st.sampled_from(["", "/", "/new?x=1", "?a@b", "#c", "/\x01", "/é", "/ "]),
    ),
    st.text("htps:/.[]@?#\\0a", max_size=20).map("http://{}".format),
)


@given(URLS)
def test_a_plain_origin_leads_where_its_url_does(url: str) -> None:
    origin = origin_of(url)
    if origin is None:
        return
    assert _parsed(origin) == _parsed(url)


def _parsed(url: str) -> str:
    try:
        return str(parse(url))
    except DestinationError as error:
        return str(error)
