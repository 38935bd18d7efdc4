"""
The ready file: where a parent process finds the collector's ports.

It appears whole or not at all, only once both listeners accept, and goes when the collector stops.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otelctx.collector.server import Collector


def readiness(collector: Collector) -> dict[str, int]:
    """Tell the ports of a started *collector* and this process's id."""
    return {"http_port": collector.http_port, "grpc_port": collector.grpc_port, "pid": os.getpid()}


@contextmanager
def ready_file(path: Path | None, collector: Collector) -> Iterator[None]:
    """
    Keep the file at *path* (if any) for the length of the block.

    Raises:
        CollectorError: when it cannot be written.
    """
    if path is None:
        yield
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(json.dumps(readiness(collector)) + "\n", encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        msg = f"Cannot write the ready file {path}: {error.strerror}; name another with --ready-file"
        raise CollectorError(msg) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
