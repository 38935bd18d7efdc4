"""
Every input that fuzzing found worth keeping.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.codec import check

INPUTS = sorted((Path(__file__).parent / "corpus" / "codec").iterdir())

# At and over the limits. They are not in the corpus, which is to stay small.
LARGE = {
    "members": ",".join(f"k{number}=v{number}" for number in range(70)),
    "lines": "\n".join(f"k{number}=v{number};p={number}" for number in range(70)),
    "values": f"a={'1' * 5000},b={'2' * 5000}",
    "bytes": f"a={'é' * 2500}\nb=ok,c={'é' * 1000},d=1",
    "exactly": f"k={'v' * 8190}\na=b",
    "cut inside a character": f"k={'v' * 8180},x=1,{'é' * 10}",
    "commas": "," * 9000,
    "semicolons": f"k=v{';' * 9000}",
    "percent signs": f"k={'%' * 8190}",
    "properties": f"k=v{';p=1' * 2000}",
    "spaces": f"k{' ' * 4000}={' ' * 4000}x",
    "spaces in a property": f'k=v;p={chr(9) * 8000}"',
    "a marker": f"otelctx-dropped=999999998,{','.join(f'k{number}=v' for number in range(70))}",
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_at_the_limits_too(text: str) -> None:
    check(text.encode())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name[:8])
def test_the_codec_keeps_its_promises(path: Path) -> None:
    check(path.read_bytes())


def test_there_is_a_corpus() -> None:
    assert len(INPUTS) > 10
