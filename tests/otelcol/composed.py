"""
The services of docker-compose.yml as processes of this machine: its own commands, variables and health checks.

A container's name becomes a loopback address, and nothing else is changed: what runs here is what the file says.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from otelctx.demo.processes import Process, ProcessGroup
from otelctx.demo.services import clean_environment
from tests.otelcol.running import FOLDER, await_that, own_address

ROOT = FOLDER.parent
MOUNTS = {"/etc/otelcol": FOLDER, "/wait_for_collector.py": ROOT / "compose" / "wait_for_collector.py"}
SHIPPING = ROOT / "compose" / "shipping"


class Composed:
    """The compose file, read; services are started one by one in *group*."""

    def __init__(self, group: ProcessGroup, programs: Mapping[str, str]) -> None:
        """Run the *programs* named in place of those of the images."""
        self.services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))[
            "services"
        ]
        self.addresses = {name: own_address() for name in self.services}
        self._group = group
        self._programs = programs

    def url(self, name: str, port: int) -> str:
        return f"http://{self.addresses[name]}:{port}"

    def start(self, name: str, command: list[str] | None = None, **variables: str) -> Process:
        """Start the service *name* and wait until its own health check passes, if it has one."""
        process = self._group.start(name, command or self.command(name), self._environment(name) | variables)
        check = self.services[name].get("healthcheck")
        if check is not None:
            probe = [self._own(word, name) for word in self._program(check["test"][1:])]
            await_that(lambda: _passes(probe), f"the health of {name}", check=process.check)
        return process

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run the service *name*, one that ends by itself, and return how it ended."""
        return subprocess.run(
            self.command(name),
            env=self._environment(name),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def command(self, name: str) -> list[str]:
        """Return the command of the service *name*, for this machine."""
        words = [self._own(str(word), name) for word in self.services[name]["command"]]
        return self._program(words)

    def _program(self, words: list[str]) -> list[str]:
        return [self._programs.get(words[0], words[0]), *words[1:]]

    def _environment(self, name: str) -> dict[str, str]:
        declared = self.services[name].get("environment", {})
        return clean_environment() | {key: self._own(str(value), name) for key, value in declared.items()}

    def _own(self, word: str, name: str) -> str:
        """Put addresses for names, and this machine's paths for those in containers."""
        for inside, outside in MOUNTS.items():
            word = word.replace(inside, str(outside))
        word = re.sub(r"(?<=//)([a-z]+)(?=:\d)", lambda match: self.addresses.get(match[1], match[1]), word)
        return word.replace("0.0.0.0", self.addresses[name]).replace("127.0.0.1", self.addresses[name])


def python_programs() -> dict[str, str]:
    """Return the programs of this environment, by the names that they have in the image."""
    return {"python": sys.executable, "otelctx": str(Path(sys.executable).parent / "otelctx")}


def _passes(probe: list[str]) -> bool:
    return subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode == 0
