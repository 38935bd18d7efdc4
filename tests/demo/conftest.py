"""
A way to see what a run leaves behind.

Each test marks its environment; whatever it started, directly or not, inherits the mark and is found by it.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from otelctx.demo.readiness import wait_until

MARK = "DEMO_TEST_MARK"


class Leftovers:
    """The processes that carry this test's mark."""

    def __init__(self) -> None:
        self._entry = f"{MARK}={uuid.uuid4()}"

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with the mark."""
        name, _, value = self._entry.partition("=")
        return {**os.environ, name: value}

    def now(self) -> list[str]:
        """Return the command lines of the marked processes that run."""
        return [_command(process) for process in Path("/proc").glob("[0-9]*") if self._is_marked(process)]

    def soon(self, seconds: float = 5) -> list[str]:
        """Return what still runs when nothing does any more, or after *seconds*."""
        wait_until(lambda: not self.now(), check=lambda: None, deadline=time.monotonic() + seconds)
        return self.now()

    def _is_marked(self, process: Path) -> bool:
        try:
            return self._entry.encode() in (process / "environ").read_bytes().split(b"\0")
        except OSError:  # it has just ended, or is another user's
            return False


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "(ended)"


@pytest.fixture
def leftovers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Leftovers]:
    """Mark what the test starts, and require in the end that all of it is gone."""
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc")
    found = Leftovers()
    monkeypatch.setenv(MARK, found.environment[MARK])
    yield found
    assert found.soon() == []
