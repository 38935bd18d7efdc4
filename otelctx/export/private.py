"""
Private places: a directory that nobody else may write into, and files that nobody else may read.

A directory that is somebody else's is refused: what is put there could be read, or replaced.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


def private_directory(path: Path) -> None:
    """
    Make *path* and what is missing above it, or make sure that it is ours alone to write.

    Raises:
        OSError: it cannot be made, is no directory, or belongs to or is writable by others.
    """
    # One by one, since `parents=True` gives all but the last the mode of the umask.
    for directory in (*reversed(path.parents), path):
        directory.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(0, "it is not a directory of its own")
    if found.st_uid != os.geteuid():
        raise PermissionError(0, "it belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(0, "other users may write to it")


def private_file(path: Path) -> None:
    """
    Make the file *path*, to be read and written by this user only, unless it is there.

    Raises:
        OSError: it cannot be made.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
