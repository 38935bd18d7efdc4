"""
Rounds: the contenders of a case take turns, each first in its turn, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.case import ALONE, Case, Group
from otelctx.native import SWITCH

ROOT: Final = Path(__file__).parents[2]
# Variables of a user's shell would set up what a contender sets up itself.
_FOREIGN: Final = ("OTEL", "DD_", "SENTRY_", "LOGFIRE_", "ELASTIC_", "PYTHONHASHSEED")
# These load what is loaded when it is first used, and learn what is learnt from the first ones.
_FIRST_CALLS: Final = 20
_MOST_CALLS: Final = 1 << 24

Turns = dict[str, list[dict[str, float]]]


@dataclass(frozen=True)
class Effort:
    """
    How much is measured.

    Attributes:
        turns: of each contender.
        seconds: about what a turn takes.
        most_calls: in a turn of a case that says how many; 0 for as many as it says.
    """

    turns: int
    seconds: float
    most_calls: int = 0


@dataclass
class Measured:
    """
    What one interpreter has measured.

    Attributes:
        python: its version.
        versions: of the packages that matter.
        cases: by name of the case, by contender, the numbers of each turn.
        missing: what could not take part, and why.
    """

    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    cases: dict[str, Turns] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class Worker:
    """The process of one contender, on one core where the system can keep it there."""

    def __init__(self, python: str, group: Group, contender: str, cases: Sequence[str]) -> None:
        """Start it."""
        environ = {key: value for key, value in os.environ.items() if key == SWITCH or not key.startswith(_FOREIGN)}
        if contender == ALONE:
            environ[SWITCH] = "0"
        command = [python, "-m", "benchmarks.harness.worker", group.name, contender, *cases]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        self.contender = contender

    def about(self) -> dict[str, Any]:
        """Return what it says of itself when it is set up."""
        return self._answer()

    def turn(self, case: str, calls: int) -> dict[str, float]:
        """Have it do its work of *case* so many times, and return its numbers."""
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        self._process.stdin.write(f"{json.dumps([case, calls])}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Let it end."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.contender} has ended with status {self._process.wait()}; its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(
    python: str, group: Group, names: Sequence[str], effort: Effort, tell: Callable[[str], None] = lambda _: None
) -> Measured:
    """Return the numbers of the cases *names* of *group*, measured with the interpreter *python*."""
    measured = Measured()
    for batch in [list(names)] if group.shared else [[name] for name in names]:
        tell(f"{group.name}: {', '.join(batch)}")
        with ExitStack() as open_workers:
            workers = {
                contender: open_workers.enter_context(closing(Worker(python, group, contender, cases)))
                for contender, cases in _taking_part(group, batch).items()
            }
            absent = set()
            for contender, worker in workers.items():
                about = worker.about()
                measured.python = about["python"]
                measured.versions |= about["versions"]
                absent |= {(contender, name) for name in about["missing"]}
                measured.missing |= {f"{name}: {contender}": why for name, why in about["missing"].items()}
            cases = {name: [one for one in group.cases[name].contenders if (one, name) not in absent] for name in batch}
            measured.cases |= _rounds(group, cases, workers, effort)
    return measured


def _taking_part(group: Group, names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        for contender in group.cases[name].contenders:
            found.setdefault(contender, []).append(name)
    return found


def _rounds(
    group: Group, cases: Mapping[str, list[str]], workers: Mapping[str, Worker], effort: Effort
) -> dict[str, Turns]:
    calls = {
        (name, contender): _calls(workers[contender], group.cases[name], effort)
        for name, contenders in cases.items()
        for contender in contenders
    }
    found: dict[str, Turns] = {name: {one: [] for one in contenders} for name, contenders in cases.items()}
    for turn in range(effort.turns):
        for name, contenders in cases.items():
            if 0 < group.cases[name].turns <= turn:
                continue
            for contender in rotated(contenders, turn):
                found[name][contender].append(workers[contender].turn(name, calls[name, contender]))
    return found


def rotated(contenders: Sequence[str], turn: int) -> Iterator[str]:
    """Yield all contenders, beginning with another one each turn."""
    first = turn % len(contenders) if contenders else 0
    yield from contenders[first:]
    yield from contenders[:first]


def _calls(worker: Worker, case: Case, effort: Effort) -> int:
    """Return how many calls fill a turn; asking for it warms the worker up."""
    if case.calls:
        return min(case.calls, effort.most_calls or case.calls)
    worker.turn(case.name, _FIRST_CALLS)
    calls = 1
    while True:
        spent = worker.turn(case.name, calls)["wall"] * calls / 1e6
        if spent > effort.seconds / 3 or calls >= _MOST_CALLS:
            return max(1, round(calls * effort.seconds / spent))
        calls *= 4
