"""Fields on metrics: only those that opted in, and never more than so many values of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import otelctx
from otelctx import Field
from otelctx.signals import metrics
from otelctx.signals.metrics import FieldHistogram, metric_attributes


@pytest.fixture(autouse=True)
def _nothing_seen() -> Iterator[None]:
    metrics._seen.clear()
    yield
    metrics._seen.clear()


class Recorded:
    """A histogram that keeps what it is given."""

    def __init__(self) -> None:
        self.points: list[tuple[Any, ...]] = []

    def record(self, amount: float, attributes: Any = None, context: Any = None) -> None:
        self.points.append((amount, attributes))


class TestAttributes:
    def test_a_field_is_there_only_if_it_opted_in(self) -> None:
        otelctx.declare(Field("plan", metric=True, attribute="app.plan"), Field("step"))
        with otelctx.request(plan="gold", step="one"):
            assert metric_attributes() == {"app.plan": "gold"}

    def test_one_without_a_value_is_not(self) -> None:
        otelctx.declare(Field("plan", metric=True))
        with otelctx.request(), otelctx.bind(plan=None):
            assert metric_attributes() == {}
        assert metric_attributes() == {}

    def test_past_its_bound_a_value_shows_as_other(self) -> None:
        otelctx.declare(Field("plan", metric=True, metric_limit=2))
        shown = []
        for plan in ("a", "b", "c", "a", "d"):
            with otelctx.request(plan=plan):
                shown.append(metric_attributes()["plan"])
        assert shown == ["a", "b", "other", "a", "other"]


class TestFieldHistogram:
    def test_what_is_recorded_explicitly_wins(self) -> None:
        otelctx.declare(Field("plan", metric=True))
        inner = Recorded()
        later: dict[str, Any] = {}
        histogram = FieldHistogram(inner, later)  # type: ignore[arg-type]
        later["http.route"] = "/items/{item}"
        with otelctx.request(plan="gold"):
            histogram.record(1, {"http.method": "GET"})
            histogram.record(2, {"plan": "explicit", "http.route": "explicit"})
        assert inner.points == [
            (1, {"plan": "gold", "http.route": "/items/{item}", "http.method": "GET"}),
            (2, {"plan": "explicit", "http.route": "explicit"}),
        ]
