"""
Jobs: what is run on the other side. Module-level functions, so that they cross to other processes by name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from multiprocessing.connection import Connection

import otelctx
from otelctx.core.state import current_request

# A variable of the application, which knows nothing of otelctx.
VARIABLE: ContextVar[str | None] = ContextVar("of_the_application", default=None)


class BoomError(Exception):
    """What a failing job raises."""


def user_id() -> object:
    return otelctx.get("user_id")


def step() -> object:
    return otelctx.get("step")


def request_is_open() -> bool:
    return current_request() is not None


def variable() -> str | None:
    return VARIABLE.get()


def set_user(name: str) -> None:
    otelctx.set(user_id=name)


def bind_and_leave_open() -> None:
    otelctx.bind(step="job").__enter__()


def bind() -> object:
    with otelctx.bind(step="job"):
        return otelctx.get("step")


def boom() -> None:
    raise BoomError


def wait_for(path: str) -> None:
    """Wait until somebody writes to the FIFO at *path*."""
    with open(path, "rb", buffering=0) as gate:  # noqa: PTH123 - unbuffered, so that others have their byte too
        gate.read(1)


def calling(job_and_arguments: tuple[Callable[..., object], tuple[object, ...]]) -> object:
    job, arguments = job_and_arguments
    return job(*arguments)


def sending(there: Connection, job: Callable[..., object], arguments: tuple[object, ...]) -> None:
    there.send(job(*arguments))
