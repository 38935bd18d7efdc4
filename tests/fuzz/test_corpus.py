"""
Every input that fuzzing found worth keeping.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.codec import check

INPUTS = sorted((Path(__file__).parent / "corpus" / "codec").iterdir())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name[:8])
def test_the_codec_keeps_its_promises(path: Path) -> None:
    check(path.read_bytes())


def test_there_is_a_corpus() -> None:
    assert len(INPUTS) > 10
