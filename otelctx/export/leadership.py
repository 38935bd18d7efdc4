"""
Leadership: which of the processes that share a spool sends what is in it.

It is a lock of the operating system on a file, so it ends with its holder, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Lock

from otelctx.export import forks


class Leadership:
    """At most one holder for each *path* on this machine."""

    def __init__(self, path: Path) -> None:
        """Hold nothing yet."""
        self._path = path
        self._descriptor: int | None = None
        self._acquiring = Lock()
        self._is_paused = False
        forks.watch(self)

    @property
    def is_held(self) -> bool:
        """Whether this holds it."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """
        Tell whether this holds the leadership, and take it if it is free.

        Raises:
            OSError: the file cannot be made.
        """
        if self._descriptor is not None:
            return True
        # A child that is forked in the middle would keep the file open, and with it the lock when this process is gone.
        with self._acquiring:
            self._descriptor = self._locked()
        return self._descriptor is not None

    def release(self) -> None:
        """Let another process lead."""
        if self._descriptor is not None:
            # Closing alone would not do it while a forked process has the same file open.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._forget()

    def before_fork(self) -> None:
        """Keep another thread from taking it meanwhile."""
        self._is_paused = self._acquiring.acquire(timeout=forks.PAUSE_SECONDS)

    def after_fork(self, *, in_child: bool) -> None:
        """Go on; in the child, without the lock, which is the parent's."""
        if self._is_paused:
            self._acquiring.release()
        if in_child:
            self._forget()

    def _locked(self) -> int | None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _forget(self) -> None:
        # Closing it does not unlock what another process has open.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
