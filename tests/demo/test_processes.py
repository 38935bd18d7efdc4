"""Process groups: nothing of one outlives it, and a death is told with its cause."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otelctx.demo.processes import ProcessGroup, ServiceDiedError
from otelctx.demo.readiness import wait_until

if TYPE_CHECKING:
    from tests.demo.conftest import Leftovers

SLEEP = "import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).wait()"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wait_for_output(path: Path, text: str) -> None:
    def has_text() -> bool:
        return path.exists() and text in path.read_text("utf-8")

    assert wait_until(has_text, check=lambda: None, deadline=time.monotonic() + 10)


class TestEnd:
    """A group ends all that was started in it."""

    def test_processes_end_with_the_block(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with ProcessGroup(tmp_path) as group:
            first = group.start("first", python(SLEEP), os.environ)
            second = group.start("second", python(SLEEP), os.environ)
            assert len(leftovers.now()) == 3
        assert (first.popen.returncode, second.popen.returncode) == (-signal.SIGTERM, -signal.SIGTERM)
        assert leftovers.now() == []

    def test_processes_end_when_the_block_fails(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with pytest.raises(KeyboardInterrupt), ProcessGroup(tmp_path) as group:  # noqa: PT012 - the block ends early
            group.start("one", python(SLEEP), os.environ)
            raise KeyboardInterrupt
        assert leftovers.now() == []

    def test_a_process_that_ignores_the_request_is_killed(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with ProcessGroup(tmp_path, grace=0.1) as group:
            stubborn = group.start("stubborn", python(STUBBORN), os.environ)
            wait_for_output(stubborn.log, "ready")
        assert stubborn.popen.returncode == -signal.SIGKILL
        assert leftovers.now() == []

    def test_processes_of_processes_are_killed_even_after_their_parent(
        self, tmp_path: Path, leftovers: Leftovers
    ) -> None:
        with ProcessGroup(tmp_path, grace=0.1) as group:
            parent = group.start("parent", python(PARENT), os.environ)
            wait_for_output(parent.log, "ready")
        assert parent.popen.returncode == -signal.SIGTERM
        assert leftovers.soon() == []

    def test_a_command_that_does_not_exist_leaves_the_others_to_be_ended(
        self, tmp_path: Path, leftovers: Leftovers
    ) -> None:
        with pytest.raises(FileNotFoundError), ProcessGroup(tmp_path) as group:  # noqa: PT012 - the second start fails
            group.start("one", python(SLEEP), os.environ)
            group.start("two", ["/does/not/exist"], os.environ)
        assert leftovers.now() == []


STARTER = f"""
import os, pathlib, signal, sys
from otelctx.demo.processes import ProcessGroup
with ProcessGroup(pathlib.Path(sys.argv[1])) as group:
    group.start("parent", [sys.executable, "-c", {PARENT!r}], os.environ)
    signal.pause()
"""


class TestSuddenDeath:
    """A group does not outlive its starter."""

    def test_everything_is_killed_when_the_starter_is(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)]) as starter:
            wait_for_output(tmp_path / "parent.log", "ready")
            assert len(leftovers.now()) == 4
            starter.kill()
        assert leftovers.soon() == []


class TestCheck:
    """`check` names the process that ended, how, and its log, with the last words of one that ended by itself."""

    def test_nothing_happens_while_all_run(self, tmp_path: Path, leftovers: Leftovers) -> None:
        with ProcessGroup(tmp_path) as group:
            group.start("one", python(SLEEP), os.environ)
            group.check()
            assert leftovers.now()

    def test_status_and_end_of_the_log_are_told(self, tmp_path: Path, leftovers: Leftovers) -> None:
        code = "print('first\\n' * 50 + 'no more shelves'); raise SystemExit(3)"
        with ProcessGroup(tmp_path) as group:
            group.start("inventory", python(code), leftovers.environment).popen.wait()
            with pytest.raises(ServiceDiedError) as caught:
                group.check()
        message = str(caught.value)
        assert message.startswith(
            f"inventory ended with status 3. The end of its log, {tmp_path}/inventory.log:\nfirst"
        )
        assert message.endswith("\nno more shelves")
        assert message.count("\n") == 15

    @pytest.mark.parametrize(("number", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGRTMIN + 1, "signal 35")])
    def test_signal_and_log_are_told_but_not_the_log_s_unrelated_end(
        self, tmp_path: Path, leftovers: Leftovers, number: int, name: str
    ) -> None:
        with ProcessGroup(tmp_path) as group:
            code = f"print('Traceback of a handled error', flush=True); {SLEEP}"
            process = group.start("orders", python(code), leftovers.environment)
            wait_for_output(process.log, "Traceback")
            process.popen.send_signal(number)
            process.popen.wait()
            with pytest.raises(ServiceDiedError) as caught:
                group.check()
        assert str(caught.value) == f"orders was killed by {name}. Its log: {tmp_path}/orders.log"


class TestSurroundings:
    """A process finds its own directory, what it was given and nothing else."""

    def test_it_runs_among_its_logs_with_the_given_environment_and_no_input(
        self, tmp_path: Path, leftovers: Leftovers
    ) -> None:
        code = "import os, sys; print(os.getcwd(), os.environ['GIVEN'], repr(sys.stdin.read()))"
        with ProcessGroup(tmp_path) as group:
            process = group.start("one", python(code), {**leftovers.environment, "GIVEN": "yes"})
            process.popen.wait()
        assert process.tail() == f"{tmp_path.resolve()} yes ''"

    def test_only_the_given_descriptors_are_open(self, tmp_path: Path, leftovers: Leftovers) -> None:
        given, hidden = os.pipe()
        code = f"import os; os.fstat({given}); print('given is open'); os.fstat({hidden})"
        try:
            with ProcessGroup(tmp_path) as group:
                process = group.start("one", python(code), leftovers.environment, [given])
                process.popen.wait()
        finally:
            os.close(given)
            os.close(hidden)
        assert "given is open" in process.tail()
        assert "Bad file descriptor" in process.tail()
