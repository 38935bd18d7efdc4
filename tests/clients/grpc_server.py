"""
A gRPC server that remembers the metadata of every call, as the HTTP servers remember headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from tests.clients.server import Received, Server


class _Remembering(grpc.GenericRpcHandler):
    def __init__(self, server: Server) -> None:
        self._server = server

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        def seen(request: Any, context: grpc.ServicerContext) -> bytes:
            pairs = [
                (key, text if isinstance(text, str) else repr(text)) for key, text in context.invocation_metadata()
            ]
            body = request if isinstance(request, bytes) else b"".join(request)
            status, _ = self._server.answer_to(Received(details.method, pairs, body))
            if status != 200:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
            return b"ok"

        kind = details.method.rpartition("/")[2]
        answer = seen if kind.endswith("unary") else lambda *args: iter([seen(*args)])
        return getattr(grpc, f"{kind}_rpc_method_handler")(answer)


@contextmanager
def serving_grpc(
    host: str, kind: type[Server] = Server, credentials: grpc.ServerCredentials | None = None
) -> Iterator[Server]:
    """Serve on a free port of *host*; the last part of a method is its kind, such as ``/s/unary_stream``."""
    seen = kind("")
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Remembering(seen),))
    place = f"{host}:0"
    port = server.add_insecure_port(place) if credentials is None else server.add_secure_port(place, credentials)
    seen.url = f"{host}:{port}"
    server.start()
    try:
        yield seen
    finally:
        server.stop(None).wait()
