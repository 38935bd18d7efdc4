"""
The running demo: a collector, the three services and the addresses of all of them.

When the block that it lives in ends, its processes end; its files go too, unless the block failed.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from otelctx.demo.processes import Process, ProcessGroup
from otelctx.demo.readiness import NotReadyError, wait_for_health, wait_until
from otelctx.demo.services import Launcher, clean_environment, start_services

START_SECONDS = 40.0


@dataclass(frozen=True)
class Stack:
    """What runs, and where; `check` raises `ServiceDiedError` when something of it no longer does."""

    gateway_url: str
    orders_url: str
    inventory_url: str
    collector_url: str
    processes: Mapping[str, Process]
    directory: Path

    def check(self) -> None:
        """
        Do nothing while everything runs.

        Raises:
            ServiceDiedError: for the first process that has ended.
        """
        for process in self.processes.values():
            process.check()


def _say_nothing(_: str) -> None:
    return


@contextmanager
def demo_stack(
    *,
    launcher: Launcher = "otelctx",
    collector_url: str | None = None,
    settings: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = _say_nothing,
) -> Iterator[Stack]:
    """
    Run the three services, and a collector unless *collector_url* names one, for the length of the block.

    *settings* are environment variables for the services; *progress* is told in words what is being waited for.

    Raises:
        ServiceDiedError: when a process ends during the start.
        NotReadyError: when one does not become ready in `START_SECONDS`.
    """
    with _directory() as directory, ExitStack() as exits:
        deadline = time.monotonic() + START_SECONDS
        # In a group of its own, so that it outlives the services and gets their last words.
        collecting = exits.enter_context(ProcessGroup(directory))
        serving = exits.enter_context(ProcessGroup(directory))
        if collector_url is None:
            progress("starting the collector")
            collector_url = _start_collector(collecting, directory, deadline)
        progress("starting gateway, orders and inventory")
        addresses = start_services(serving, launcher=launcher, collector_url=collector_url, settings=settings or {})
        stack = Stack(
            gateway_url=addresses["gateway"].url,
            orders_url=addresses["orders"].url,
            inventory_url=addresses["inventory"].url,
            collector_url=collector_url,
            processes={**collecting.processes, **serving.processes},
            directory=directory,
        )
        wait_for_health(addresses, check=stack.check, deadline=deadline)
        yield stack
        progress("stopping")


def _start_collector(group: ProcessGroup, directory: Path, deadline: float) -> str:
    ready = directory / "collector.json"
    options = {"--http-port": "0", "--grpc-port": "0", "--store": directory / "store.sqlite3", "--ready-file": ready}
    words = [str(word) for option in options.items() for word in option]
    group.start("collector", [sys.executable, "-m", "otelctx.collector", *words], clean_environment())
    if not wait_until(ready.exists, check=group.check, deadline=deadline):
        message = f"the collector is not ready; is the machine very busy? Its log: {group.processes['collector'].log}"
        raise NotReadyError(message)
    return f"http://127.0.0.1:{json.loads(ready.read_text('utf-8'))['http_port']}"


@contextmanager
def _directory() -> Iterator[Path]:
    """Make a directory for logs and store; it is kept when the block fails, but not when the user ends it."""
    directory = Path(tempfile.mkdtemp(prefix="otelctx-demo-"))
    failed = False
    try:
        yield directory
    except Exception:
        failed = True
        raise
    finally:
        if not failed:
            shutil.rmtree(directory, ignore_errors=True)
