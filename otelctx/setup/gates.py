"""
The gates of clients, put in place when their modules are imported, and only then.
"""

from __future__ import annotations

from typing import Final

from otelctx.boundaries.imported import OnImport
from otelctx.integrations import httpx, urllib3
from otelctx.propagation.unknown import gate_follows, no_gate_follows

_GATES: Final = OnImport(
    {
        "httpx": lambda module: (httpx.gates(module),),
        "urllib3.connectionpool": lambda module: (urllib3.gates(module),),
    }
)

# These inject before the request is at its gate.
_OUTSIDE: Final = tuple(f"opentelemetry.instrumentation.{name}" for name in ("requests", "urllib3"))


def install() -> None:
    """Let every request of a client stop at its gate."""
    _GATES.install()
    gate_follows(*_OUTSIDE)


def uninstall() -> None:
    """Take the gates away again."""
    no_gate_follows(*_OUTSIDE)
    _GATES.uninstall()
