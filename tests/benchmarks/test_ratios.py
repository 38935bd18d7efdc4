"""How turns become ratios."""

from __future__ import annotations

import pytest

from benchmarks.harness.case import Case
from benchmarks.harness.ratios import Spread, is_met, pairs, summary


def turns(**numbers):
    return {contender: [{"cpu": number} for number in taken] for contender, taken in numbers.items()}


def test_a_ratio_is_of_two_numbers_of_one_turn():
    # The machine was ten times slower in the second turn; for both.
    assert pairs(Case("a"), turns(otelctx=[1, 10], other=[2, 20]), "other") == [0.5, 0.5]


def test_what_the_base_takes_is_taken_off_both():
    case = Case("a", over="raw")

    assert pairs(case, turns(raw=[10, 20], otelctx=[12, 23], other=[20, 50]), "other") == [0.2, 0.1]


def test_a_turn_in_which_the_other_added_nothing_has_no_ratio():
    assert pairs(Case("a", over="raw"), turns(raw=[10, 10], otelctx=[12, 12], other=[10, 20]), "other") == [0.2]


def test_a_spread_is_the_median_and_the_quartiles():
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(3, 2, 4)
    assert Spread.of([7]) == Spread(7, 7, 7)


@pytest.mark.parametrize(
    ("one", "other", "expected"), [((1, 2), (2, 3), True), ((1, 2), (2.1, 3), False), ((2.1, 3), (1, 2), False)]
)
def test_spreads_that_overlap_may_be_the_same(one, other, expected):
    assert Spread(0, *one).overlaps(Spread(0, *other)) is expected


def test_a_summary_has_no_ratio_to_ourselves_or_to_the_base():
    found = summary(Case("a", over="raw"), turns(raw=[10], otelctx=[12], other=[20]))

    assert found["ratios"] == {"cpu": {"other": {"median": 0.2, "low": 0.2, "high": 0.2}}}
    assert set(found["numbers"]) == {"raw", "otelctx", "other"}


def test_a_summary_without_us_has_numbers_only():
    assert summary(Case("a"), turns(other=[20]))["ratios"] == {"cpu": {}}


def test_a_time_is_to_be_low_and_a_rate_high():
    assert is_met("cpu", 0.2, 0.2)
    assert not is_met("cpu", 0.21, 0.2)
    assert is_met("spans/s", 8.5, 8)
    assert not is_met("spans/s", 7.5, 8)


def test_what_the_base_takes_is_left_in_the_other_numbers_of_a_case():
    case = Case("a", over="raw", also={"p99": {"other": 0.5}})
    taken = {"raw": 10, "otelctx": 12, "other": 20}
    found = summary(case, {one: [{"cpu": number, "p99": number}] for one, number in taken.items()})

    assert found["ratios"]["cpu"]["other"]["median"] == 0.2
    assert found["ratios"]["p99"]["other"]["median"] == 0.6
