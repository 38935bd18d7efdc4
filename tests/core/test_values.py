"""
The types that a field may have: one text each, the same for every language.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from enum import Enum, IntEnum, IntFlag
from uuid import UUID

import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.local import LocalProxy

import otelctx
from otelctx import Field, declare, get, inject, request
from otelctx.core.reports import counts
from otelctx.core.values import attribute_value, wire_text
from otelctx.errors import FieldError

ID = UUID("01a20714-08ae-7fdc-9e65-79b8336deee5")
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - that is what it is for
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=timezone.utc)


class Plan(Enum):
    FREE = "free"
    PAID = "paid"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Hostile(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta | None:
        raise RuntimeError("hostile")


class TestWireText:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (True, "true"),
            (5, "5"),
            (0.5, "0.5"),
            (1e300, "1e+300"),
            (Plan.FREE, "free"),
            (Level.HIGH, "2"),
            (ID, "01a20714-08ae-7fdc-9e65-79b8336deee5"),
            (NOON, "2026-11-23T12:00:00Z"),
            (NOON.replace(microsecond=500), "2026-11-23T12:00:00.000500Z"),
            (NOON.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-11-23T12:00:00Z"),
        ],
    )
    def test_of_each_type_is_what_telemetry_shows_unless_it_is_a_number(self, value: object, text: str) -> None:
        assert wire_text(value) == text
        assert attribute_value(value) in {text, value}
        assert type(attribute_value(value)) in {str, int, float, bool}

    def test_of_a_naive_or_broken_datetime_is_shown_and_does_not_raise(self) -> None:
        for moment in (NAIVE, NAIVE.replace(tzinfo=Hostile())):
            assert attribute_value(moment) == "2026-01-01T00:00:00"

    def test_of_what_pretends_to_be_a_text_is_its_text_and_nothing_in_telemetry(self) -> None:
        proxy = LocalProxy(lambda: "alice")
        assert isinstance(proxy, str)
        assert (wire_text(proxy), attribute_value(proxy)) == ("alice", None)

    def test_what_pretends_is_never_asked_what_it_is(self) -> None:
        def outside() -> object:
            raise ZeroDivisionError

        assert attribute_value(SimpleLazyObject(outside)) is None


class TestDecoding:
    """What is read is one value, or none."""

    @pytest.mark.parametrize(
        ("kind", "text", "value"),
        [
            (int, "-5", -5),
            (int, "+05", 5),
            (int, "1_000", None),
            (int, " 5", None),
            (int, "\u0665", None),
            (int, "5.0", None),
            (int, "9" * 100_000, None),
            (float, "1e3", 1000.0),
            (float, ".5", 0.5),
            (float, "1_0.0", None),
            (float, "1e9999", None),
            (float, "infinity", None),
            (float, "", None),
            (Plan, "paid", Plan.PAID),
            (Plan, "PAID", None),
            (Plan, "Plan.PAID", None),
            (Level, "2", Level.HIGH),
            (Level, 2, Level.HIGH),
            (Level, "3", None),
            (UUID, str(ID).upper(), ID),
            (UUID, "{" + str(ID) + "}", None),
            (UUID, ID.hex, None),
            (UUID, "", None),
            (datetime, "2026-11-23T12:00:00Z", NOON),
            (datetime, "2026-11-23t12:00:00z", NOON),
            (datetime, "2026-11-23 13:30:00+01:30", NOON),
            (datetime, "2026-11-23T12:00:00.1234567Z", NOON.replace(microsecond=123456)),
            (datetime, "2026-11-23T12:00:00.5Z", NOON.replace(microsecond=500_000)),
            (datetime, "2026-11-23T12:00:00", None),
            (datetime, "2026-11-23", None),
            (datetime, "2026-W48-1T12:00:00Z", None),
            (datetime, "2026-02-30T12:00:00Z", None),
            (datetime, "0001-01-01T00:00:00+01:00", None),
            (datetime, NAIVE, None),
            (datetime, NAIVE.replace(tzinfo=Hostile()), None),
            (str, ID, str(ID)),
            (str, Plan.FREE, "free"),
        ],
    )
    def test_of_a_text(self, kind: type, text: object, value: object) -> None:
        assert Field("a", type=kind).accept(text) == value
        assert counts() == ({"field.refused": 1} if value is None else {})

    def test_what_does_not_decode_is_absent_and_counted(self) -> None:
        declare(Field("plan", type=Plan, remote=True), Field("order", type=UUID, remote=True))
        with request(peer="unix", carrier={"baggage": f"plan=gold,order={ID}"}):
            assert (get("plan"), get("order")) == (None, ID)
        assert counts() == {"field.refused": 1}


class TestDeclaration:
    """A type that cannot be sent and read back is refused."""

    def test_of_combinations(self) -> None:
        with pytest.raises(FieldError, match="combinations have no text"):
            Field("a", type=IntFlag("Flags", ["A", "B"]))

    def test_of_values_that_are_no_plain_values(self) -> None:
        with pytest.raises(FieldError, match="must be str, int, float or bool"):
            Field("a", type=Enum("Pairs", {"A": (1, 2)}))

    def test_of_values_with_the_same_text(self) -> None:
        with pytest.raises(FieldError, match="must differ as text"):
            Field("a", type=Enum("Same", {"A": 1, "B": "1"}))

    def test_of_a_naive_default(self) -> None:
        with pytest.raises(FieldError, match="offset from UTC"):
            Field("a", type=datetime, default=NAIVE)


class TestRoundTrip:
    """What one service sends is what the next one has."""

    @given(
        plan=st.sampled_from(Plan),
        level=st.sampled_from(Level),
        order=st.uuids(),
        due=st.datetimes(NAIVE.replace(1, 1, 3), NAIVE.replace(9999, 12, 29), timezones=st.timezones()),
        ratio=st.floats(allow_nan=False, allow_infinity=False),
    )
    def test_of_each_type(self, plan: Plan, level: Level, order: UUID, due: datetime, ratio: float) -> None:
        declare(
            Field("plan", type=Plan, remote=True, header="x-plan"),
            Field("level", type=Level, remote=True),
            Field("order", type=UUID, remote=True),
            Field("due", type=datetime, remote=True, header="x-due"),
            Field("ratio", type=float, remote=True),
        )
        values = {"plan": plan, "level": level, "order": order, "due": due, "ratio": ratio}
        headers: dict[str, str] = {}
        with request(**values):
            inject(headers)
        with request(peer="unix", carrier=headers):
            # In UTC: an hour that a zone has twice is equal to none elsewhere (PEP 495).
            assert {name: get(name) for name in values} == {**values, "due": due.astimezone(timezone.utc)}
            assert type(get("level")) is Level
            again: dict[str, str] = {}
            inject(again)
        assert headers == again

    def test_code_may_set_the_text(self) -> None:
        declare(Field("plan", type=Plan))
        with request():
            otelctx.set(plan="paid")
            assert get("plan") is Plan.PAID
