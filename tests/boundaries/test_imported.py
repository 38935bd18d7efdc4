"""Patches of modules that are imported later: made then, and only then."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from otelctx.boundaries.imported import OnImport
from otelctx.boundaries.patches import Patch
from otelctx.core.reports import counts


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of a module that can be imported, and is not yet."""
    name = f"library_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{name}.py").write_text("class Client:\n    def send(self):\n        return 'sent'\n")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_module_is_patched_when_it_is_imported_and_put_back(library: str) -> None:
    patches = OnImport({library: lambda module: (Patch(module.Client, "send", lambda _: lambda _: "patched"),)})
    patches.install()
    assert library not in sys.modules
    client = import_module(library).Client()
    assert client.send() == "patched"
    patches.uninstall()
    assert client.send() == "sent"


def test_a_version_that_lacks_what_is_to_be_patched_is_imported_all_the_same(
    library: str, caplog: pytest.LogCaptureFixture
) -> None:
    patches = OnImport({library: lambda module: (Patch(module.Session, "send", lambda original: original),)})
    patches.install()
    assert import_module(library).Client().send() == "sent"
    assert counts() == {"boundary.unknown_version": 1}
    assert (
        caplog.records[0].getMessage().startswith(f"{library} stays as it is, for this version of it has no 'Session'")
    )
    patches.uninstall()
