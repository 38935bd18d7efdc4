"""
What can be set about the spool, and the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True)
class SpoolSettings:
    """
    The bounds of one spool.

    Attributes:
        directory: holds a directory for each service; None keeps everything in memory.
        service: whose spool it is; processes of one service share it.
        max_bytes: of one signal on disk, encoded; beyond it the oldest go.
        max_memory_bytes: of one signal in memory, where the disk cannot be used.
        max_age_seconds: what waited for longer is dropped.
        shutdown_seconds: how long the end of the process waits for the collector, for all signals together.
        requests_per_second: the most that are sent to the collector, for one signal.
        write_through: each span and log record is on disk when its end, or the log call, returns.
        fsync: what is acknowledged also survives a power failure, for a wait in each write.
    """

    directory: Path | None
    service: str = "unknown_service"
    max_bytes: int = 512 * MEBIBYTE
    max_memory_bytes: int = 32 * MEBIBYTE
    max_age_seconds: float = 48 * 3600.0
    shutdown_seconds: float = 3.0
    requests_per_second: float = 20.0
    write_through: bool = False
    fsync: bool = False


def state_directory(environ: Mapping[str, str]) -> Path | None:
    """
    Return where spools are kept when nothing is configured; None where the user has no home.

    systemd's ``STATE_DIRECTORY`` comes first, then that of the XDG Base Directory Specification, which says that a
    relative path is to be ignored.

    >>> state_directory({"XDG_STATE_HOME": "/var/state", "HOME": "/home/me"}).as_posix()
    '/var/state/otelctx/spool'
    >>> state_directory({"HOME": "/home/me"}).as_posix()
    '/home/me/.local/state/otelctx/spool'
    """
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0] or environ.get("XDG_STATE_HOME", "")
    home = environ.get("HOME", "")
    if given.startswith("/"):
        return Path(given, "otelctx", "spool")
    return Path(home, ".local", "state", "otelctx", "spool") if home.startswith("/") else None
