"""Each case does its work, in the process that measures it. How long it takes is nobody's business here."""

from __future__ import annotations

import sys

import pytest

from benchmarks.__main__ import GROUPS
from benchmarks.harness.case import OURS, group_of
from benchmarks.harness.rounds import Effort, measure

BRIEF = Effort(turns=1, seconds=0.0001, most_calls=5)
GROUPED = [group_of(name) for name in GROUPS]
# The cases of a shared process are measured together.
BATCHES = [
    (group, batch)
    for group in GROUPED
    for batch in ([list(group.cases)] if group.shared else [[name] for name in group.cases])
]


@pytest.mark.parametrize(
    ("group", "names"), BATCHES, ids=[f"{group.name}: {', '.join(names)}" for group, names in BATCHES]
)
def test_every_contender_does_its_work(group, names):
    measured = measure(sys.executable, group, names, BRIEF)

    for name in names:
        case = group.cases[name]
        missing = {one for one in case.contenders if f"{name}: {one}" in measured.missing}
        assert set(measured.cases[name]) == set(case.contenders) - missing
        for turns in measured.cases[name].values():
            assert case.measures.keys() <= turns[0].keys()
    assert not any(who.endswith(f": {OURS}") for who in measured.missing)


@pytest.mark.parametrize("group", GROUPED, ids=[group.name for group in GROUPED])
def test_a_target_is_about_somebody_who_takes_part(group):
    for case in group.cases.values():
        assert {contender for targets in case.measures.values() for contender in targets} <= set(case.contenders)
        assert OURS in case.contenders
        assert case.over in {"", *case.contenders}
