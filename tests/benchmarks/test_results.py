"""What is kept of a measurement, and how the next one is shown beside it."""

from __future__ import annotations

import json

from benchmarks.harness.case import Group
from benchmarks.harness.ratios import Spread
from benchmarks.harness.results import before, keep, read, summarised
from benchmarks.harness.rounds import Effort, Measured, rotated
from benchmarks.harness.tables import table


def entry(ratio, target=None):
    spread = {"median": ratio, "low": ratio, "high": ratio}
    numbers = {contender: {"cpu": spread} for contender in ("otelctx", "other")}
    return {"numbers": numbers, "ratios": {"cpu": {"other": spread}}}


def lines(group, found, last):
    return [line.plain for line in table(group, "3.13.0", found, last)]


def test_measuring_one_case_again_leaves_the_others(tmp_path):
    keep("span", "3.13.0", {"root": entry(0.5), "child": entry(0.4)}, tmp_path)
    keep("span", "3.13.1", {"child": entry(0.3)}, tmp_path)

    kept = read(tmp_path / "span.json")
    assert kept["3.13"]["python"] == "3.13.1"
    assert before(kept, "3.13.2", "root", "cpu", "other") == Spread(0.5, 0.5, 0.5)
    assert before(kept, "3.13.2", "child", "cpu", "other") == Spread(0.3, 0.3, 0.3)


def test_another_python_has_results_of_its_own_in_order(tmp_path):
    for python in ("3.13.0", "3.9.1", "3.11.7"):
        keep("span", python, {"root": entry(0.5)}, tmp_path)

    kept = read(tmp_path / "span.json")
    assert list(kept) == ["3.9", "3.11", "3.13"]
    assert before(kept, "3.12.1", "root", "cpu", "other") is None


def test_numbers_are_kept_with_four_figures(tmp_path):
    keep("span", "3.13.0", {"root": entry(0.123456)}, tmp_path)

    assert "0.1235" in (tmp_path / "span.json").read_text("utf-8")


def test_a_result_says_what_it_was_measured_on():
    group = Group("span")
    group.case("root")
    measured = Measured("3.13.0", {"opentelemetry-sdk": "1.45.1"}, {"root": {"otelctx": [{"cpu": 1.0}]}})

    found = summarised(group, measured, Effort(31, 0.1))["root"]

    assert found["versions"] == {"opentelemetry-sdk": "1.45.1"}
    assert found["turns"] == 31
    assert {"cores", "architecture", "system", "load"} == set(found["machine"])
    assert json.dumps(found)


def test_the_table_says_what_is_met_and_what_was_last():
    group = Group("span")
    group.case("root", targets={"other": 0.4})

    shown = lines(group, {"root": entry(0.5)}, {"3.13": {"cases": {"root": entry(0.3)}}})

    assert "≤ 0.4 NOT" in shown[-1]
    assert shown[-1].endswith("0.300")
    assert "≤ 0.4 met" in lines(group, {"root": entry(0.4)}, {})[-1]


def test_the_table_is_as_wide_as_a_terminal():
    group = Group("span")
    group.case("a case with a name", targets={"other": 0.4})

    assert max(map(len, lines(group, {"a case with a name": entry(1234.5)}, {}))) <= 80


def test_each_contender_is_first_in_its_turn():
    assert ["".join(rotated("abc", turn)) for turn in range(4)] == ["abc", "bca", "cab", "abc"]
