"""
The real collector, where there is one; without it these tests are skipped, and say how to get it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from otelctx.demo.processes import ProcessGroup
from tests.otelcol.running import FOLDER, Site


@pytest.fixture(scope="session")
def binary() -> str:
    found = subprocess.run([FOLDER / "otelcol", "path"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    return found.stdout.strip()


@pytest.fixture
def site(binary: str, tmp_path: Path) -> Iterator[Site]:
    """A place to start collectors in; they end with the test."""
    with ProcessGroup(tmp_path) as group:
        yield Site(binary, group, tmp_path)


@pytest.fixture(scope="module")
def shared_site(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same for all tests of a module."""
    directory = tmp_path_factory.mktemp("site")
    with ProcessGroup(directory) as group:
        yield Site(binary, group, directory)
