"""
`asyncio.Runner`: each run is in the request of whoever asks for it.

A runner keeps one `contextvars.Context` for all of its runs, that of whoever has used it first. Other context
variables stay as they are there, which is what a runner is for.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from opentelemetry.context import Context, attach, get_current

from otelctx.boundaries.patches import Patch, Patches
from otelctx.core.block import restore


async def _in_context(context: Context, coroutine: Coroutine[Any, Any, Any]) -> Any:
    token = attach(context)
    try:
        return await coroutine
    finally:
        restore(token)


def _run(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def run(self: Any, coro: Any, *, context: Any = None) -> Any:
        # A context that is passed on explicitly is what was asked for; what is no coroutine is refused there.
        if context is None and inspect.iscoroutine(coro):
            coro = _in_context(get_current(), coro)
        return original(self, coro, context=context)

    return run


# New in Python 3.11.
_RUNNER = getattr(asyncio, "Runner", None)
_PATCHES = Patches(*(() if _RUNNER is None else (Patch(_RUNNER, "run", _run),)))

install, uninstall = _PATCHES.install, _PATCHES.uninstall
