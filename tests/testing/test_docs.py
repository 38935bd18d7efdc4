"""The examples of docs/testing.md run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")


def test_each_example_passes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    examples = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    pytester.makepyfile(**{f"test_{number}": example for number, example in enumerate(examples)})
    settings = re.findall(r"```ini\n(.*?)```", TEXT, re.DOTALL)
    pytester.makeini(settings[0])
    result = pytester.runpytest_subprocess("-p", "otelctx.testing.plugin", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=len(examples))
    assert len(examples) == 2
