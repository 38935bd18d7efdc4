"""
Groups of child processes with their logs.

No process of a group outlives the group, and no group outlives the process that started it, however that one ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otelctx.demo import guard
from otelctx.errors import OtelctxError

if TYPE_CHECKING:
    from typing_extensions import Self


class ServiceDiedError(OtelctxError):
    """A process that should be running has ended; the message names it, how it ended and its log."""


@dataclass(frozen=True)
class Process:
    """One running child and the file with its output."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path

    def tail(self, lines: int = 15) -> str:
        """Return the last *lines* of the output."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def check(self) -> None:
        """
        Do nothing while the process runs.

        Raises:
            ServiceDiedError: when it has ended.
        """
        status = self.popen.poll()
        if status is None:
            return
        if status < 0:
            # The log does not know of the signal; its last lines are about something else.
            message = f"{self.name} was killed by {_signal_name(-status)}. Its log: {self.log}"
        else:
            end = self.tail() or "(it is empty)"
            message = f"{self.name} ended with status {status}. The end of its log, {self.log}:\n{end}"
        raise ServiceDiedError(message)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def _spawn(command: Sequence[str], *, leader: int, **options: Any) -> subprocess.Popen[bytes]:
    """Start *command* in the process group of *leader*; 0 makes it a leader itself."""
    # Before Python 3.11 only code that runs between fork and exec can do this.
    joining = (
        {"process_group": leader} if sys.version_info >= (3, 11) else {"preexec_fn": partial(os.setpgid, 0, leader)}
    )
    popen: Any = subprocess.Popen(list(command), **joining, **options)
    started: subprocess.Popen[bytes] = popen
    return started


class ProcessGroup:
    """
    Processes that are started one by one and ended together.

    Entering starts the guard, whose process group all others join, so that there is no moment at which a process runs
    unguarded. Leaving ends the processes with SIGTERM; what is left after *grace* seconds, with whatever the processes
    started, is killed.
    """

    def __init__(self, logs: Path, *, grace: float = 5.0) -> None:
        """Write the processes' output to the directory *logs*."""
        self._logs = logs
        self._grace = grace
        self.processes: dict[str, Process] = {}

    def __enter__(self) -> Self:
        """Start the guard."""
        command = [sys.executable, "-I", "-S", guard.__file__]
        quiet = subprocess.DEVNULL
        self._guard = _spawn(command, leader=0, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)
        return self

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], descriptors: Sequence[int] = ()
    ) -> Process:
        """
        Start *command* in the group, with its output in ``NAME.log`` and *descriptors* left open in it.

        It runs in the directory of the logs, so that no configuration file that lies about is picked up.
        """
        path = self._logs / f"{name}.log"
        with path.open("wb") as log:
            popen = _spawn(
                command,
                leader=self._guard.pid,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=self._logs,
                pass_fds=descriptors,
            )
        self.processes[name] = Process(name, popen, path)
        return self.processes[name]

    def check(self) -> None:
        """
        Do nothing while all processes run.

        Raises:
            ServiceDiedError: for the first one that has ended.
        """
        for process in self.processes.values():
            process.check()

    def __exit__(self, *_: object) -> None:
        """End every process, politely at first."""
        try:
            for process in self.processes.values():
                process.popen.terminate()
            deadline = time.monotonic() + self._grace
            for process in self.processes.values():
                _wait(process.popen, deadline)
        finally:
            # Not only close the pipe: a fork of this process may hold its write end too.
            self._guard.communicate(b"\n")
            for process in self.processes.values():
                process.popen.kill()
                process.popen.wait()


def _wait(popen: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        popen.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return
