"""
Subprocesses: any program that is started in a request can go on in it, and one that is set up like this one does.

The program may be anyone's, so it is given what a service would be given. What the caller says of these variables
counts; a mapping that the caller passes is never changed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from asyncio import subprocess as asyncio_subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Token
from functools import wraps
from inspect import signature
from typing import Any, Final

from opentelemetry.context import Context, attach, get_current

from otelctx.boundaries.patches import Patch, Patches
from otelctx.core.block import restore
from otelctx.core.reports import report
from otelctx.core.state import current_request
from otelctx.propagation.environment import from_environment, may_inherit, to_environment, variables


def environment_for_child(environ: Mapping[Any, Any] | None, program: Any = "") -> Mapping[Any, Any] | None:
    """
    Return *environ* with the request of here in it, or *environ* itself where there is nothing to add.

    A variable that is the same in this process's own environment was inherited, and is not taken for the caller's word:
    what this process was started with does not go to a program that may not have it.

    Args:
        environ: what the caller gave, texts or bytes; None stands for this process's environment.
        program: what is started, a text, bytes or a path; rules know it by its name, as ``process://NAME``.
    """
    try:
        name_of_it = os.path.basename(os.fsdecode(program))  # noqa: PTH119 - bytes too
        carried = to_environment(name_of_it)
        if not carried and may_inherit(name_of_it):
            return environ
        result = dict(os.environ if environ is None else environ)
        for name in variables():
            for form in (name, os.fsencode(name)):
                if environ is not None and form in result and os.fsdecode(result[form]) != os.environ.get(name):
                    return environ
                result.pop(form, None)
    except Exception:  # noqa: BLE001 - a mapping of somebody's, or a propagator; the program is to start all the same
        report("subprocess.not_carried", "The request was not written to the environment of a subprocess")
        return environ
    return {**result, **carried}


def _popen(original: Callable[..., None]) -> Callable[..., None]:
    names = list(signature(original).parameters)
    # Counted without `self`; no argument is there where an alternative takes it by keyword only.
    position = names.index("env") - 1 if "env" in names else sys.maxsize

    @wraps(original)
    def __init__(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> None:  # noqa: N807 - its name
        program = _program({**dict(zip(names[1:], args, strict=False)), **kwargs})
        if len(args) > position:
            args = (*args[:position], environment_for_child(args[position], program), *args[position + 1 :])
        else:
            kwargs["env"] = environment_for_child(kwargs.get("env"), program)
        original(self, *args, **kwargs)

    return __init__


def _program(given: Mapping[str, Any]) -> Any:
    """Return what arguments of `Popen`, by name, start."""
    command, executable = given.get("args", ""), given.get("executable")
    if executable is not None:
        return executable
    if given.get("shell"):
        return "sh"
    if isinstance(command, Sequence) and not isinstance(command, (str, bytes)):
        return command[0] if command else ""
    return command if isinstance(command, (str, bytes, os.PathLike)) else ""


def _posix_spawn(original: Callable[..., int]) -> Callable[..., int]:
    @wraps(original)
    def spawn(path: Any, argv: Any, env: Any, /, **kwargs: Any) -> int:
        return original(path, argv, environment_for_child(env, path), **kwargs)

    return spawn


def _create(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def create(*args: Any, **kwargs: Any) -> Any:
        is_shell = original.__name__ == "create_subprocess_shell"
        program = _program({**kwargs, "args": args[:1], "shell": is_shell})
        environ = environment_for_child(kwargs.get("env"), program)
        if environ is not None:
            kwargs["env"] = environ
        return await original(*args, **kwargs)

    return create


# The standard event loops use `Popen`; those of others, such as uvloop, are reached by the functions of asyncio.
_PATCHES = Patches(
    Patch(subprocess.Popen, "__init__", _popen),
    Patch(os, "posix_spawn", _posix_spawn),
    Patch(os, "posix_spawnp", _posix_spawn),
    *(
        Patch(module, name, _create)
        for module in (asyncio, asyncio_subprocess)
        for name in ("create_subprocess_exec", "create_subprocess_shell")
    ),
)

install, uninstall = _PATCHES.install, _PATCHES.uninstall


_WORKERS: Final = tuple(
    f"from multiprocessing.{module} import main" for module in ("forkserver", "resource_tracker", "semaphore_tracker")
)

_continued: Token[Context] | None = None


def continue_parents_request(environ: Mapping[str, str]) -> None:
    """
    Go on in the request that *environ* brings, if it brings one: with the main thread and all that it starts.

    The whole process is one unit of work then, with a cell of its own. A worker of `multiprocessing` inherits the
    environment as well, but what it works on is told with each job.
    """
    global _continued  # noqa: PLW0603 - once per process
    in_main_flow = threading.current_thread() is threading.main_thread() and current_request() is None
    if _continued is not None or not in_main_flow or _is_worker():
        return
    try:
        context = from_environment(environ)
    except Exception:  # noqa: BLE001 - a propagator of others; the program is to start all the same
        report("environment.failed", "The environment of this process could not be read as a carrier")
        return
    if context is not None:
        here = dict(get_current())
        _continued = attach(Context({**here, **context}))


def leave_parents_request() -> None:
    """Be in no request again, where `continue_parents_request` was called."""
    global _continued
    token, _continued = _continued, None
    if token is not None:
        restore(token)


def _is_worker() -> bool:
    # Of multiprocessing's command lines, because its own state is not there yet when a worker is set up.
    # https://github.com/python/cpython/blob/3.13/Lib/multiprocessing/spawn.py (`get_command_line`)
    return any(text == "--multiprocessing-fork" or text.startswith(_WORKERS) for text in sys.orig_argv)
