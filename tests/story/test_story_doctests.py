from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("module", ["timing", "safe_text"])
def test_the_examples_in_the_docstrings_hold(module):
    failed, attempted = doctest.testmod(import_module(f"otelctx.story.{module}"))
    assert failed == 0
    assert attempted > 0
