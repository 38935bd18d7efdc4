"""
The spool's file: opened when needed, opened anew when it was replaced, and put aside when it is damaged.

No two threads use it at once, and it is closed while the process forks.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock, get_ident
from typing import TypeVar

from otelctx.core.reports import report
from otelctx.export.private import private_file
from otelctx.export.schema import connect, impatient

_Result = TypeVar("_Result")


class StoreError(Exception):
    """The store cannot be used now; the message says why."""


class Database:
    """One SQLite file, or one in memory, shared by the threads of a process."""

    def __init__(self, path: Path | None, *, fsync: bool = False) -> None:
        """Open nothing yet; with None for *path* everything is in memory."""
        self.path = path
        self._fsync = fsync
        self._lock = Lock()
        self._user: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a thread uses the file now."""
        return self._lock.locked()

    def run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """
        Return what *work* returns, in a transaction if it begins one.

        Raises:
            StoreError: the disk is full, gone, or too slow; or this thread is in the middle of using it.
        """
        if self._user == get_ident():
            # A finalizer or a signal handler that logs cannot wait for what it has interrupted.
            message = "it is in use by what was interrupted for this"
            raise StoreError(message)
        with self._lock, self._used():
            return self._attempt(work)

    def run_at_once(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result | None:
        """Do the same without any wait for a thread, a process or the disk; None where that is not possible."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            # To open it may take long.
            if self._connection is None or self._is_replaced():
                return None
            with self._used(), impatient(self._connection, fsync=self._fsync):
                return work(self._connection)
        except (sqlite3.Error, OSError):
            # Another process writes; or something is wrong, which the next who takes the time finds as well, and says.
            return None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            self._close()

    def pause(self, seconds: float) -> bool:
        """
        Close the file, and let no thread open it until `resume`; tell whether that was possible within *seconds*.

        SQLite's locks belong to a process, and what it knows of them must not be there twice:
        https://www.sqlite.org/howtocorrupt.html, "Carrying an open database connection across a fork()".
        """
        if not self._lock.acquire(timeout=seconds):
            return False
        if self.path is not None:
            self._close()
        return True

    def resume(self) -> None:
        """End a `pause`."""
        self._lock.release()

    @contextmanager
    def _used(self) -> Iterator[None]:
        self._user = get_ident()
        try:
            yield
        finally:
            self._user = None

    def _attempt(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        try:
            return work(self._open())
        except (sqlite3.Error, OSError) as error:
            if self.path is None:
                raise StoreError(str(error)) from error
            self._close()
            # The class itself is what sqlite3 raises for a damaged file, and for nothing else.
            if type(error) is not sqlite3.DatabaseError:
                raise StoreError(str(error)) from error
            self._put_aside(self.path)
        try:
            return work(self._open())
        except (sqlite3.Error, OSError) as error:
            self._close()
            raise StoreError(str(error)) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._is_replaced():
            self._close()
            if self.path is not None:
                # SQLite gives its other files the mode of this one.
                private_file(self.path)
                self._inode = self.path.stat().st_ino
            self._connection = connect(self.path, fsync=self._fsync)
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_replaced(self) -> bool:
        # Another process put a damaged file aside, or somebody deleted it: what is written to it now is lost.
        if self.path is None:
            return False
        try:
            return self.path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True

    def _put_aside(self, path: Path) -> None:
        """Rename the damaged file, unless another process has done so since it was opened here."""
        try:
            with _locked(path.with_name(f"{path.name}.repair")):
                if self._is_replaced():
                    return
                for suffix in ("-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                # One such file is kept, so that the disk does not fill up with them.
                path.replace(path.with_name(f"{path.name}.damaged"))
        except OSError as error:
            message = f"it is damaged and cannot be put aside: {error.strerror}"
            raise StoreError(message) from error
        report(
            "export.damaged",
            "The spool %s was damaged; it is kept as %s.damaged and a new one is begun. What waited in it is lost",
            path,
            path.name,
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    private_file(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
