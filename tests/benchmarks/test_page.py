"""What the documentation says of speed is what was measured."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from benchmarks.__main__ import GROUPS
from benchmarks.harness.case import Group, group_of
from benchmarks.harness.page import PAGE, PLOT, filled, numbers, parts, rows, targets
from benchmarks.harness.plot import plot
from benchmarks.harness.results import keep

ALL = [group_of(name) for name in GROUPS]


def kept(folder, **ratios):
    """Return a group with a case for each of *ratios*, and results of it in *folder*."""
    group = Group("span")
    found = {}
    for name, ratio in ratios.items():
        group.case(name, targets={"other": 0.4})
        spread = {"median": ratio, "low": ratio / 2, "high": ratio * 2}
        taken = {"otelctx": {"cpu": spread}, "other": {"cpu": spread}}
        found[name] = {"numbers": taken, "ratios": {"cpu": {"other": spread}}}
    keep("span", "3.13.0", found, folder)
    return group


def test_the_page_is_made_of_the_committed_results():
    page = PAGE.read_text("utf-8")

    assert filled(page, parts(ALL)) == page


def test_the_plot_is_made_of_the_committed_results():
    assert plot(rows(ALL)) == PLOT.read_text("utf-8")


def test_a_target_that_is_missed_is_called_so(tmp_path):
    table = targets([kept(tmp_path, root=0.4, child=0.5)], tmp_path)

    assert "| span: root | CPU | other | ≤ 0.4 | 0.4 (0.2-0.8) | met |" in table
    assert "| span: child | CPU | other | ≤ 0.4 | 0.5 (0.25-1) | **not met** |" in table


def test_numbers_stand_beside_our_ratio(tmp_path):
    assert "| root | other | 12.0 (6-24.0) | 12.0 |" in numbers(kept(tmp_path, root=12.0), tmp_path)


def test_only_what_is_between_the_marks_is_replaced():
    page = "before\n<!-- begin targets -->\nold\n<!-- end targets -->\nafter\n"

    assert filled(page, {"targets": "new\n"}) == page.replace("old", "new")


def test_the_plot_has_a_bar_and_a_mark_for_each_target(tmp_path):
    drawn = ET.fromstring(plot(rows([kept(tmp_path, root=0.4, child=0.5)], tmp_path)))

    kinds = [element.get("class") for element in drawn.iter()]
    assert (kinds.count("met"), kinds.count("not"), kinds.count("target")) == (1, 1, 2)
