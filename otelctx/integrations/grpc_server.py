"""
gRPC servers: the request of a call, from its metadata, and from whom it came.

OpenTelemetry's interceptors, for threads and for asyncio, read the metadata in one method, and there alone they could
know the peer. The method is private; where it is gone, every caller is a stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import Context, attach
from opentelemetry.propagators.textmap import Getter

from otelctx.boundaries.patches import Patch
from otelctx.core.block import restore
from otelctx.core.state import current_request
from otelctx.core.watching import request_ended
from otelctx.propagation.crossing import propagator
from otelctx.propagation.peers import with_peer

Metadata = Iterable[tuple[str, str | bytes]]


class MetadataGetter(Getter[Metadata]):
    """Reads the metadata of a call; what is binary is nothing that a propagator has written."""

    def get(self, carrier: Metadata, key: str) -> list[str] | None:
        """Return all values of *key*."""
        wanted = key.lower()
        return [value for name, value in carrier if name == wanted and isinstance(value, str)] or None

    def keys(self, carrier: Metadata) -> list[str]:
        """Return all keys."""
        return [name for name, _ in carrier]


_getter: Final = MetadataGetter()


def patch(server: ModuleType) -> Patch:
    """Let the interceptors of module *server*, ``opentelemetry.instrumentation.grpc._server``, know the peer."""

    def reading(original: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        @wraps(original)
        def _set_remote_context(self: Any, servicer_context: Any) -> Iterator[None]:  # noqa: ARG001 - the interface
            metadata = servicer_context.invocation_metadata() or ()
            context = propagator().extract(metadata, with_peer(Context(), servicer_context.peer()), _getter)
            token = attach(context)
            try:
                yield
            finally:
                restore(token)
                request_ended(current_request(context))

        return _set_remote_context

    return Patch(server.OpenTelemetryServerInterceptor, "_set_remote_context", reading)
