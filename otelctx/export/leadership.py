"""
Leadership: which of the processes that share a spool sends what is in it.

It is a lock of the operating system on a file, so it ends with its holder, however that ends.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Leadership:
    """At most one holder for each *path* on this machine."""

    def __init__(self, path: Path) -> None:
        """Hold nothing yet."""
        self._path = path
        self._descriptor: int | None = None

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
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process lead."""
        if self._descriptor is not None:
            # Closing alone would not do it while a forked process has the same file open.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """Close the file without unlocking it: in a forked process, where the lock is the parent's."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
