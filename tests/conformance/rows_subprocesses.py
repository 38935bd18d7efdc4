"""
Rows: programs that are started in a request and set up like this one. The environment is the carrier.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from tests.conformance.boundary import Crossing, Rows
from tests.conformance.rows_processes import EXIT_CODE, FAR
from tests.conformance.runners import on_asyncio, on_uvloop, without_loop

ROWS = Rows()
GROUP: Final = "subprocesses (remote fields, per policy)"
REASONS: Final = {**FAR, "exception": EXIT_CODE}
FOREVER: Final = [sys.executable, "-c", "import signal; signal.pause()"]


def _command(job: Callable[..., Any], args: tuple[Any, ...]) -> list[str]:
    return [sys.executable, "-m", "tests.conformance.child", job.__name__, *args]


def _blocking(start: Callable[[list[str]], bytes]) -> Callable[[], AsyncIterator[Crossing]]:
    async def opened() -> AsyncIterator[Crossing]:
        async def cross(job: Any, *args: Any) -> Any:
            return json.loads(start(_command(job, args)))

        async def cancel() -> None:
            child = subprocess.Popen(FOREVER)  # noqa: ASYNC220 - no loop runs
            child.kill()
            child.wait()

        yield Crossing(cross, cancel)

    return opened


def _popen(command: list[str]) -> bytes:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        return child.communicate()[0]


_rows = partial(ROWS.add, GROUP, **REASONS)
_rows("`subprocess.run`", without_loop)(
    _blocking(lambda command: subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
)
_rows("`subprocess.Popen`", without_loop)(_blocking(_popen))


async def _exec() -> AsyncIterator[Crossing]:
    async def cross(job: Any, *args: Any) -> Any:
        child = await asyncio.create_subprocess_exec(*_command(job, args), stdout=subprocess.PIPE)
        return json.loads((await child.communicate())[0])

    async def cancel() -> None:
        child = await asyncio.create_subprocess_exec(*FOREVER)
        child.kill()
        with suppress(ProcessLookupError):
            await child.wait()
        # A turn for the transport, which closes its pipes after that.
        await asyncio.sleep(0)

    yield Crossing(cross, cancel)


for _loop, _run in {"asyncio": on_asyncio, "uvloop": on_uvloop}.items():
    _rows(f"`asyncio.create_subprocess_exec` ({_loop})", _run)(_exec)
