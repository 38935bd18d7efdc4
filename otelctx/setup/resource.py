"""
The resource: which service, process and host the telemetry is from.

The service is named after the project or the program. The command line is left out, since it may hold secrets.
Attribute names are those of https://opentelemetry.io/docs/specs/semconv/resource/
"""

from __future__ import annotations

import os
import platform
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger_provider
from opentelemetry.sdk.resources import Resource

from otelctx.setup.config_files import nearest

_SERVERS = frozenset({"uvicorn", "hypercorn", "granian", "gunicorn", "daphne", "flask", "celery"})
# module:attribute, as servers take it; an address with a port is none.
_APPLICATION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d][\w.]*(\(.*\))?")
_GENERIC = frozenset({"app", "main", "asgi", "wsgi", "__main__"})


def service_name(argv: Sequence[str], directory: Path) -> str | None:
    """
    Return a name for the service, or None when nothing tells.

    Args:
        argv: the interpreter's whole command line, as in `sys.orig_argv`.
        directory: where the program was started; its project, if it or a parent has one, gives the name.
    """
    return _project(directory) or _program(argv, directory)


def given_service_name(environ: Mapping[str, str]) -> str | None:
    """
    Return the name that the standard variables give the service, or None.

    >>> given_service_name({"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=my%20shop"})
    'my shop'
    """
    pairs = (pair.partition("=") for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    given = {key.strip(): unquote(value.strip()) for key, _, value in pairs}
    return environ.get("OTEL_SERVICE_NAME") or given.get("service.name") or None


def _project(directory: Path) -> str | None:
    file = nearest("pyproject.toml", directory, str(Path.home()))
    return None if file is None else _project_name(file)


def _project_name(file: Path) -> str | None:
    # Imported late: a process that has a name already never needs it.
    toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        project = toml.loads(file.read_text("utf-8")).get("project")
    except (OSError, ValueError):
        # The file is of other tools; that it is wrong is theirs to say.
        return None
    name = project.get("name") if isinstance(project, dict) else None
    return name if isinstance(name, str) else None


def _program(argv: Sequence[str], directory: Path) -> str | None:
    words = [word for word in argv[1:] if not word.startswith("-")]
    if not words:
        return None
    program = Path(words[0]).stem
    if program in _SERVERS:
        for word in words[1:]:
            if _APPLICATION.fullmatch(word):
                names = [name for name in word.partition(":")[0].split(".") if name not in _GENERIC]
                return names[-1] if names else directory.name or program
    return program


def renew_after_fork() -> None:
    """
    Let the global providers tell of the right process in workers that are forked from this one, as gunicorn's are.

    The SDK renews what identifies the instance itself, by a private method that can renew the pid too. Where that is
    gone, workers keep the pid of the process that forked them.
    """
    os.register_at_fork(after_in_child=_renew)


def _renew() -> None:
    here = Resource({"process.pid": os.getpid()})
    for provider in (trace.get_tracer_provider(), get_logger_provider(), metrics.get_meter_provider()):
        update = getattr(provider, "_update_resource", None)
        if update is not None:
            update(here)


def attributes(environ: Mapping[str, str]) -> dict[str, str | int]:
    """Return what is known of this process and host, without what ``OTEL_RESOURCE_ATTRIBUTES`` says already."""
    known: dict[str, str | int] = {
        "service.instance.id": str(uuid4()),
        "process.pid": os.getpid(),
        "process.executable.name": Path(sys.executable or "python").name,
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
        "host.name": socket.gethostname(),
        "host.arch": platform.machine(),
        "os.type": sys.platform,
    }
    given = {pair.partition("=")[0].strip() for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")}
    return {key: value for key, value in known.items() if key not in given}
