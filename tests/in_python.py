"""What is written in Python, for tests that step through its lines, where its compiled twin runs otherwise."""

from typing import Any

from otelctx.native import TWINS


def in_python(name: str) -> Any:
    """Return what has the full *name* in the source."""
    return TWINS[name][0]
