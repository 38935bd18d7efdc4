"""
`Field`, `declare` and strict mode: a wrong declaration fails where it is made, with what to do instead.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otelctx
from otelctx import Field, FieldError, UnknownFieldError, declare, get, request
from otelctx.core.ids import uuid7
from otelctx.core.registry import registry
from otelctx.core.reports import counts, report
from otelctx.core.values import attribute_value


class Colour(str, enum.Enum):
    """A text whose `str` is its name."""

    RED = "red"


class TestField:
    """A declaration that contradicts itself raises, and says what would not."""

    @pytest.mark.parametrize(
        ("declaration", "message"),
        [
            (lambda: Field("tenant-id"), "'tenant-id': a name must be an identifier"),
            (lambda: Field(""), "a name must be an identifier"),
            (lambda: Field(5), "Field 5: a name must be an identifier"),  # type: ignore[arg-type]
            (lambda: Field("a", type=list), "type must be str, int, float, bool, UUID, datetime or an Enum"),  # type: ignore[arg-type]
            (lambda: Field("a", type=["x"]), "type must be str, int, float, bool, UUID, datetime or an Enum"),  # type: ignore[arg-type]
            (lambda: Field("a", header="x-a"), "add remote=True"),
            (lambda: Field("a", key="x"), "add remote=True"),
            (lambda: Field("a", echo=True), "echo needs a header"),
            (lambda: Field("a", remote=True, echo=True), "echo needs a header"),
            (lambda: Field("a", remote=True, key="a b"), "must be a token"),
            (lambda: Field("ä", remote=True), "must be a token"),
            (lambda: Field("a", remote=True, key="otelctx-dropped"), "has a meaning of its own"),
            (lambda: Field("a", remote=True, header="X-A"), "lower-case header name"),
            (lambda: Field("a", remote=True, header="x a"), "lower-case header name"),
            (lambda: Field("a", remote=True, header=""), "lower-case header name"),
            (lambda: Field("a", remote=True, header="x-a\n"), "lower-case header name"),
            (lambda: Field("a", remote=True, header="traceparent"), "has a meaning of its own"),
            (lambda: Field("a", remote=True, header="content-length"), "has a meaning of its own"),
            (lambda: Field("a", max_length=0), "at least 1"),
            (lambda: Field("a", metric_limit=0), "at least 1"),
            (lambda: Field("a", type=int, default="x"), "default is of type str, not int"),
            (lambda: Field("a", validate="x"), "validate must be a function"),  # type: ignore[arg-type]
            (lambda: Field("a", generate=1), "generate must be a function"),  # type: ignore[arg-type]
        ],
    )
    def test_that_cannot_work(self, declaration: Callable[[], Field], message: str) -> None:
        with pytest.raises(FieldError, match=re.escape(message)):
            declaration()

    def test_is_frozen(self) -> None:
        with pytest.raises(AttributeError):
            Field("a").remote = True  # type: ignore[misc]

    @pytest.mark.parametrize(
        ("kind", "value", "held"),
        [
            (str, "a", "a"),
            (str, 5, "5"),
            (str, Colour.RED, "red"),
            (str, "x" * 257, None),
            (str, "\ud800", None),
            (str, "\U0001f600", "\U0001f600"),
            (int, "5", 5),
            (int, "five", None),
            (int, 2**63 - 1, 2**63 - 1),
            (int, -(2**63), -(2**63)),
            (int, 2**63, None),
            (int, "9" * 5000, None),
            (float, "1.5", 1.5),
            (float, 1, 1.0),
            (float, 1e300, 1e300),
            (float, "nan", None),
            (float, float("inf"), None),
            (bool, "true", True),
            (bool, "False", False),
            (bool, "yes", None),
            (bool, 1, True),
        ],
    )
    def test_accepts_what_fits(self, kind: type[Any], value: object, held: object) -> None:
        result = Field("a", type=kind).accept(value)
        assert (result, type(result)) == (held, type(held))
        assert counts() == ({"field.refused": 1} if held is None else {})

    @given(st.from_type(type).flatmap(st.from_type) | st.text() | st.binary() | st.integers() | st.floats())
    def test_accept_never_raises(self, value: object) -> None:
        for kind in (str, int, float, bool):
            assert isinstance(Field("a", type=kind).accept(value), (kind, type(None)))

    def test_an_attribute_is_a_plain_value_that_telemetry_can_hold(self) -> None:
        given = ["a", 1, True, 1.5, 2**63, None, object(), ["a"]]
        assert [attribute_value(value) for value in given] == ["a", 1, True, 1.5, None, None, None, None]


class TestDeclare:
    """Adds fields to those of the process, all or none."""

    def test_a_built_in_field_may_be_declared_again(self) -> None:
        declare(Field("user_id", type=int))
        with request(user_id="5"):
            assert get("user_id") == 5

    @pytest.mark.parametrize(
        ("field", "message"),
        [
            (Field("a", remote=True, key="user_id"), "Fields 'user_id' and 'a' both claim the baggage key 'user_id'"),
            (Field("a", remote=True, header="x-request-id"), "both claim the header 'x-request-id'"),
            (Field("a", attribute="user.id"), "both claim the attribute 'user.id'"),
        ],
    )
    def test_two_claims_of_one_thing_change_nothing(self, field: Field, message: str) -> None:
        before = registry()
        with pytest.raises(FieldError, match=message):
            declare(Field("fine"), field, strict=True)
        assert registry() is before

    def test_strict_stays_as_it_is_unless_given(self) -> None:
        declare(strict=True)
        declare(Field("a"))
        with pytest.raises(UnknownFieldError):
            otelctx.set(b=1)
        declare(strict=False)
        with otelctx.bind(b=1):
            assert get("b") == 1

    def test_a_name_like_no_other_gets_no_suggestion(self) -> None:
        declare(strict=True)
        with pytest.raises(UnknownFieldError, match=r"'zzz' is not declared; declare it in otelctx\.toml"):
            get("zzz")


class TestRequestId:
    """UUIDv7: its order by name is its order by time."""

    def test_layout(self) -> None:
        text = uuid7()
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text)

    def test_sorts_by_time(self) -> None:
        import time

        before = time.time_ns() // 1_000_000
        ids = [uuid7() for _ in range(1000)]
        after = time.time_ns() // 1_000_000
        millis = [int(text.replace("-", "")[:12], 16) for text in ids]
        assert millis == sorted(millis)
        assert before <= millis[0] <= millis[-1] <= after
        assert len(set(ids)) == 1000


class TestReports:
    """What goes wrong is always counted and rarely logged."""

    def test_logged_once_and_counted_always(self, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(1000):
            report("kind", "It went wrong")
        assert counts() == {"kind": 1000}
        assert [record.getMessage() for record in caplog.records] == ["It went wrong (kind: 1 so far)"]

    def test_a_refused_value_is_not_quoted(self, caplog: pytest.LogCaptureFixture) -> None:
        with request(
            peer="unix", carrier={"baggage": "user_id=" + "SECRET" * 50 + ",=SECRET", "x-request-id": "SECRET\n" * 50}
        ):
            pass
        assert caplog.records
        assert "SECRET" not in caplog.text
