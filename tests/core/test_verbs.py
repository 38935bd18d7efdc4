"""
`get`, `current`, `set` and `request` where test_guarantees.py does not say it already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, get_current
from opentelemetry.trace import Tracer, get_current_span

import otelctx
from otelctx import Field, bind, current, declare, get, request
from otelctx.core.request import Request
from otelctx.core.state import current_request
from tests.in_python import in_python


class TestGet:
    """The value here, else the default given, else the field's, else None."""

    def test_the_default_given_comes_before_that_of_the_field(self) -> None:
        declare(Field("tenant", default="field"))
        assert get("tenant") == "field"
        assert get("tenant", "given") == "given"
        assert get("tenant", None) is None

    def test_a_value_that_is_false_is_a_value(self) -> None:
        with bind(a=0, b="", c=False):
            assert (get("a", "default"), get("b", "default"), get("c", "default")) == (0, "", False)

    def test_a_hidden_value_counts_as_none(self) -> None:
        declare(Field("tenant", default="field"))
        with bind(tenant="x"), bind(tenant=None):
            assert get("tenant") == "field"
            assert get("tenant", "given") == "given"


class TestCurrent:
    """A read-only mapping of all that `get` finds."""

    def test_agrees_with_get(self) -> None:
        declare(Field("tenant", default="acme"), Field("plan"), Field("remote", remote=True, key="k"))
        with request(a=1, b=2, plan="x"), bind(b=None, c=3, plan=None):
            attach(baggage.set_baggage("k", "v", baggage.set_baggage("b", "theirs", baggage.set_baggage("d", "4"))))
            seen = current()
            assert {name: get(name) for name in seen} == dict(seen)
            assert set(seen) == {"request_id", "tenant", "remote", "a", "c", "d"}

    def test_cannot_be_written(self) -> None:
        with pytest.raises(TypeError):
            current()["a"] = 1  # type: ignore[index]

    def test_does_not_change_later(self) -> None:
        with request():
            before = current()
            otelctx.set(a=1)
            assert "a" not in before

    def test_outside_anything_is_empty(self) -> None:
        assert current() == {}


class TestSet:
    """A write to the request."""

    def test_in_strict_mode_an_undeclared_name_changes_nothing(self) -> None:
        declare(strict=True)
        with request():
            with pytest.raises(otelctx.UnknownFieldError):
                otelctx.set(user_id="u", usr="x")
            assert get("user_id") is None

    def test_tells_the_listeners_after_the_change(self) -> None:
        seen: list[Any] = []
        with request():
            here = current_request()
            assert here is not None
            here.listeners = (lambda _, changes, __: seen.append((dict(changes), get("user_id"))),)
            otelctx.set(user_id="u")
        assert seen == [({"user_id": "u"}, "u")]

    def test_keeps_objects_in_the_process(self) -> None:
        thing = object()
        with request():
            otelctx.set(thing=thing)
            assert get("thing") is thing
            headers: dict[str, str] = {}
            otelctx.inject(headers)
        assert "thing" not in headers["baggage"]


class TestRequest:
    """A request for the block."""

    def test_has_a_generated_request_id(self) -> None:
        with request():
            assert len(str(get("request_id"))) == 36
            here = current_request()
            assert here is not None
            assert here.origins == {"request_id": "generated"}

    def test_the_id_given_is_kept(self) -> None:
        with request(request_id="mine"):
            assert get("request_id") == "mine"

    def test_ends_with_the_block_by_exception_too(self) -> None:
        before = get_current()
        with pytest.raises(ZeroDivisionError), request(user_id="u"):
            raise ZeroDivisionError
        assert get("user_id") is None
        assert get_current() is before

    async def test_async_with_and_each_kind_of_function(self) -> None:
        @request(user_id="u")
        def plain() -> object:
            return get("request_id"), get("user_id")

        @request(user_id="u")
        async def asynchronous() -> object:
            return get("user_id")

        @request(user_id="u")
        def generator() -> Iterator[object]:
            yield get("user_id")

        assert plain() != plain()
        assert await asynchronous() == "u"
        assert list(generator()) == ["u"]
        async with request(user_id="u"):
            assert get("user_id") == "u"
        assert get("user_id") is None

    def test_nested_inherits(self) -> None:
        with request(user_id="u"), bind(step="a"):
            attach(baggage.set_baggage("colour", "red"))
            outer = get("request_id")
            with request(plan="gold"):
                assert current() == {
                    "request_id": outer, "user_id": "u", "step": "a", "plan": "gold", "colour": "red",
                }  # fmt: skip
                assert baggage.get_baggage("colour") == "red"

    def test_nested_new_starts_with_nothing(self) -> None:
        with request(user_id="u"), bind(step="a"):
            outer = get("request_id")
            with request(nested="new"):
                assert set(current()) == {"request_id"}
                assert get("request_id") != outer

    def test_nested_reuse_stays_in_the_outer_one(self) -> None:
        with request(user_id="u"), bind(step="a"):
            with request(nested="reuse", step="b"):
                assert get("step") == "b"
                otelctx.set(tenant="acme")
            assert (get("step"), get("tenant")) == ("b", "acme")

    def test_reuse_where_there_is_none_opens_one(self) -> None:
        with request(nested="reuse", user_id="u"):
            assert get("user_id") == "u"
        assert get("user_id") is None

    def test_reuse_does_not_write_to_what_was_set_outside_a_request(self) -> None:
        otelctx.set(user_id="outside")
        with request(nested="reuse", user_id="u"):
            assert get("user_id") == "u"
        assert get("user_id") == "outside"

    def test_with_a_carrier_it_is_one_of_its_own(self, tracer: Tracer) -> None:
        trace_id = "0af7651916cd43dd8448eb211c80319c"
        carrier = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01", "x-request-id": "r1", "baggage": "user_id=in"}
        with request(user_id="outer", step="outer"), tracer.start_as_current_span("polling"):
            with request(peer="unix", carrier=carrier, tenant="acme"):
                assert current() == {"request_id": "r1", "user_id": "in", "tenant": "acme"}
                assert f"{get_current_span().get_span_context().trace_id:032x}" == trace_id
            assert get("user_id") == "outer"
            with request(peer="unix", carrier={}):
                assert set(current()) == {"request_id"}
                assert not get_current_span().get_span_context().is_valid

    def test_values_given_beat_those_of_the_carrier(self) -> None:
        with request(peer="unix", carrier={"baggage": "user_id=in"}, user_id="given"):
            assert get("user_id") == "given"

    def test_a_block_is_entered_once_at_a_time(self) -> None:
        block = request()
        with block, pytest.raises(RuntimeError, match="request block is entered already"), block:
            pass


class TestRequestCell:
    """What a request starts with."""

    def test_a_signal_handler_may_write_in_the_middle_of_a_write(self) -> None:
        written = in_python("otelctx.core.request.Request")
        cell = written({"request_id": "given", "user_id": "alice"})
        stepped = 0

        def step(frame: Any, event: str, _: object) -> Any:
            nonlocal stepped
            if event == "line" and frame.f_code is written.write.__code__:
                # What a handler does that Python runs between any two lines.
                stepped += 1
                sys.settrace(None)
                cell.write({"user_id": f"of the handler {stepped}"})
                sys.settrace(step)
            return step

        before = sys.gettrace()
        sys.settrace(step)
        try:
            cell.write({"request_id": "written", "user_id": "written"})
        finally:
            sys.settrace(before)
        assert stepped > 3
        assert cell.values["request_id"] == "written"
        assert cell.origins == {}

    def test_generates_each_field_that_has_none(self) -> None:
        declare(Field("attempt", type=int, generate=lambda: 1), Field("other", generate=lambda: "x" * 300))
        cell = Request({"request_id": "given"})
        assert cell.values == {"request_id": "given", "attempt": 1}
        assert cell.origins == {"request_id": "received", "attempt": "generated"}
