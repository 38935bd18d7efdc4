"""
All rows, in the order of the table.
"""

from __future__ import annotations

from tests.conformance import (
    rows_anyio,
    rows_asyncio,
    rows_callbacks,
    rows_generators,
    rows_outside,
    rows_pools,
    rows_processes,
    rows_servers,
    rows_subprocesses,
    rows_threads,
    rows_web,
)

_FOUND = [
    *rows_asyncio.ROWS,
    *rows_callbacks.ROWS,
    *rows_anyio.ROWS,
    *rows_threads.ROWS,
    *rows_pools.ROWS,
    *rows_processes.ROWS,
    *rows_subprocesses.ROWS,
    *rows_generators.ROWS,
    *rows_web.ROWS,
    *rows_servers.ROWS,
    *rows_outside.ROWS,
]
_GROUPS = list(dict.fromkeys(row.group for row in _FOUND))

ROWS = sorted(_FOUND, key=lambda row: _GROUPS.index(row.group))
