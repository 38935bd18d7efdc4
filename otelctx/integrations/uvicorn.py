"""
uvicorn: the edge around every application it serves, under its own command, workers, reload and gunicorn.

The edge stands inside uvicorn's handling of proxy headers, so that the client is who the proxy says it is. Who has
connected is noted outside of it, since uvicorn may have been told to believe everybody. When a signal has stopped the
server, uvicorn ends the process by that signal, past all atexit hooks; what has to be done at the end is done before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from signal import SIGINT
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch
from otelctx.propagation.peers import CONNECTED


def patch(config: ModuleType, edge: Callable[[Any], Any]) -> Patch:
    """Let the ``Config`` of module *config*, ``uvicorn.config``, put *edge* around the application it loads."""

    def loading(original: Callable[[Any], None]) -> Callable[[Any], None]:
        @wraps(original)
        def load(self: Any) -> None:
            original(self)
            outer = self.loaded_app
            if type(outer).__name__ == "ProxyHeadersMiddleware":
                outer.app = edge(outer.app)
                self.loaded_app = _noting_who_connected(outer)
            else:
                self.loaded_app = edge(outer)

        return load

    return Patch(config.Config, "load", loading)


def _noting_who_connected(app: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    def connected(scope: MutableMapping[str, Any], receive: Any, send: Any) -> Awaitable[None]:
        scope[CONNECTED] = scope.get("client")
        return app(scope, receive, send)

    return connected


def end_patch(server: ModuleType, at_end: Callable[[], None]) -> Patch:
    """Let the ``Server`` of module *server*, ``uvicorn.server``, call *at_end* before it ends the process."""

    def capturing(original: Callable[[Any], AbstractContextManager[None]]) -> Callable[[Any], Any]:
        @contextmanager
        @wraps(original)
        def capture_signals(self: Any) -> Iterator[None]:
            with original(self):
                yield
                # Past this point the signal is raised again. Python makes an exception of SIGINT, and ends as usual.
                if any(number != SIGINT for number in getattr(self, "_captured_signals", ())):
                    at_end()

        return capture_signals

    return Patch(server.Server, "capture_signals", capturing)
