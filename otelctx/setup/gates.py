"""
The gates of clients, put in place when their modules are imported, and only then.
"""

from __future__ import annotations

from typing import Final

from otelctx.boundaries.imported import OnImport
from otelctx.integrations import aiohttp, grpc, httpx, urllib, urllib3
from otelctx.propagation.unknown import gate_follows, no_gate_follows

_GATES: Final = OnImport(
    {
        "httpx": lambda module: (httpx.gates(module),),
        "urllib3.connectionpool": lambda module: (urllib3.gates(module),),
        "urllib.request": lambda module: (urllib.gates(module),),
        "aiohttp.client_reqrep": lambda module: (aiohttp.gates(module),),
        "grpc._channel": lambda module: (grpc.gates(module),),
        "grpc.aio._call": lambda module: (grpc.aio_gates(module),),
    }
)

# These inject before the request is at its gate.
_OUTSIDE: Final = tuple(
    f"opentelemetry.instrumentation.{name}"
    for name in ("aiohttp_client", "grpc._aio_client", "grpc._client", "requests", "urllib", "urllib3")
)


def install() -> None:
    """Let every request of a client stop at its gate."""
    _GATES.install()
    gate_follows(*_OUTSIDE)


def uninstall() -> None:
    """Take the gates away again."""
    no_gate_follows(*_OUTSIDE)
    _GATES.uninstall()
