"""
HTTP connections: how long a client may leave one waiting, and how many there are.

A connection either has a request under way, which the application bounds in time, or it waits for its client; then it
has a deadline, and at the limit it makes room for a new one. So clients that send nothing lock nobody out.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeGuard

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn.server import ServerState

    from otelctx.collector.config import CollectorConfig

# Half of the descriptors that a process may usually have open.
MAX_CONNECTIONS = 512
# Exporters keep a connection between exports, which are seconds apart.
KEEP_ALIVE_SECONDS = 75


class Phase(Enum):
    """What a connection waits for."""

    HEAD = "the head of a request: the first one, or the rest of one that has begun"
    REQUEST = "another request, after an answer"
    LEFTOVER = "the end of a body whose request was answered before"
    ANSWER = "our own answer"


class HttpConfig(uvicorn.Config):
    """Uvicorn's configuration with the time that a client has in each phase."""

    def __init__(self, app: ASGIApp, config: CollectorConfig, **options: Any) -> None:
        """Serve *app* over connections of this module; *options* are uvicorn's."""
        super().__init__(app, http=Connection, timeout_keep_alive=KEEP_ALIVE_SECONDS, **options)
        self.patience: dict[Phase, float | None] = {
            Phase.HEAD: config.head_timeout_seconds,
            Phase.REQUEST: KEEP_ALIVE_SECONDS,
            Phase.LEFTOVER: config.body_timeout_seconds,
            Phase.ANSWER: None,
        }


class Connection(H11Protocol):
    """
    One connection.

    Uvicorn's own timer runs only between an answer and the next byte, so a client that sends nothing, or one byte,
    would have no deadline.

    Attributes:
        phase: What it waits for.
        since: Since when, in the loop's time.
    """

    def __init__(
        self,
        config: HttpConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Take what uvicorn gives to every protocol."""
        super().__init__(config, server_state, app_state, _loop)
        self._patience = config.patience
        self.phase = Phase.ANSWER
        self.since = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the connection, then wait for its first request."""
        if len(self.connections) >= MAX_CONNECTIONS:
            self._make_room()
        super().connection_made(transport)
        self._follow()

    def data_received(self, data: bytes) -> None:
        """Read, then see what is awaited now."""
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Go on to the next request, then see what is awaited now."""
        super().on_response_complete()
        self._follow()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        super().connection_lost(exc)
        self._unset_deadline()

    def _follow(self) -> None:
        """Set the deadline of the phase that has begun, if one has; further bytes in the same phase do not move it."""
        phase = self._current_phase()
        if phase is self.phase:
            return
        self.phase = phase
        self.since = self.loop.time()
        self._unset_deadline()
        seconds = self._patience[phase]
        if seconds is not None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _current_phase(self) -> Phase:
        if self.cycle is not None and not self.cycle.response_complete:
            return Phase.ANSWER
        if self.conn.their_state is not h11.IDLE:
            return Phase.LEFTOVER
        unread, _ = self.conn.trailing_data
        return Phase.HEAD if self.cycle is None or unread else Phase.REQUEST

    def _unset_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its client, one between two requests only if need be."""
        waiting = filter(waits_for_client, self.connections)
        longest = min(waiting, key=lambda other: (other.phase is Phase.REQUEST, other.since), default=None)
        if longest is not None:
            # It is lost only in the loop's next turn, and must not be chosen twice.
            self.connections.discard(longest)
            longest.transport.abort()


def waits_for_client(connection: object) -> TypeGuard[Connection]:
    """Tell whether *connection* waits for its client, and not for us."""
    return isinstance(connection, Connection) and connection.phase is not Phase.ANSWER
