"""What is written in Python, where its compiled twin may run in its place."""

from typing import Any

from otelctx.core import here
from otelctx.native import TWINS


def in_python(name: str) -> Any:
    """Return what has the full *name* in the source; for tests that step through its lines."""
    return TWINS[name][0]


def is_compiled() -> bool:
    """Tell whether twins run."""
    return here.enter is not in_python("otelctx.core.here.enter")
