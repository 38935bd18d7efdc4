"""
Peers in other languages, with OpenTelemetry's own libraries: built or installed when a test first asks for one.

What they are built from is in this folder, with exact versions; what comes of it is in `.cache`, which git ignores.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "peers"


class MissingError(Exception):
    """A toolchain, or what it would have to download, is not there; the message says which."""


def go_peer() -> list[str]:
    """Return the command of the peer in Go."""
    sources = sorted((HERE / "go").iterdir())
    program = CACHE / f"go-{_version(sources)}" / "peer"
    if not program.exists():
        # A toolchain that is too old is not to be replaced in passing.
        environment = {**os.environ, "GOTOOLCHAIN": "local"}
        _fetch(["go", "mod", "download"], HERE / "go", environment)
        built = program.with_name(f"peer-{os.getpid()}")
        subprocess.run(["go", "build", "-o", built, "."], cwd=HERE / "go", env=environment, check=True, timeout=600)
        built.replace(program)
    return [str(program)]


def node_peer(module: str) -> list[str]:
    """Return the command of the peer in JavaScript that *module*, a file of ``node/``, is."""
    sources = sorted((HERE / "node").iterdir())
    folder = CACHE / f"node-{_version(sources)}"
    if not folder.exists():
        if shutil.which("node") is None:
            raise MissingError("node is not installed")
        unfinished = CACHE / f"node-{os.getpid()}"
        try:
            shutil.copytree(HERE / "node", unfinished)
            _fetch(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"], unfinished)
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            # Another process was faster; its folder is as good.
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return ["node", str(folder / module)]


def _version(sources: Sequence[Path]) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _fetch(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise MissingError(f"{command[0]} is not installed")
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it says nothing"]
        raise MissingError(f"'{' '.join(command)}' failed: {lines[-1]}")


class Peer:
    """A running peer that answers one JSON object a line."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start *command*."""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, **question: object) -> Any:
        """Return the answer to *question*."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the peer, which leaves when there is nothing more to read."""
        self._process.communicate(timeout=30)
