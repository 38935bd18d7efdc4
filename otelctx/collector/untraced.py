"""
A process that does not trace itself.

A collector started in an auto-instrumented environment would send spans about receiving its own spans, without end; it
replaces itself by the same command in an environment without the instrumentation.
"""

from __future__ import annotations

import os
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

AGENT = "opentelemetry.instrumentation.auto_instrumentation"
AGENT_DIRECTORY = tuple(AGENT.split("."))
MARK = "OTELCTX_COLLECTOR_UNTRACED"


def leave_instrumentation() -> None:
    """Start this process anew, with the same arguments and id, if it is auto-instrumented; otherwise return."""
    environment = clean_environment(os.environ, sys.modules)
    if environment is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 -- our own command line


def clean_environment(environ: Mapping[str, str], modules: Container[str]) -> dict[str, str] | None:
    """
    Give *environ* without the agent, or None where nothing is to be done.

    >>> clean_environment({"HOME": "/root"}, {})
    >>> clean_environment({"PYTHONPATH": "/x/opentelemetry/instrumentation/auto_instrumentation:/app"}, {})
    {'PYTHONPATH': '/app', 'OTEL_SDK_DISABLED': 'true', 'OTELCTX_COLLECTOR_UNTRACED': '1'}
    """
    paths = environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = [path for path in paths if PurePath(path).parts[-len(AGENT_DIRECTORY) :] != AGENT_DIRECTORY]
    if MARK in environ or (AGENT not in modules and kept == paths):
        return None
    return {**environ, "PYTHONPATH": os.pathsep.join(kept), "OTEL_SDK_DISABLED": "true", MARK: "1"}
