"""
Waiting for a process to be of use.

A wait ends as soon as there is an answer, at the deadline, or when a process that should answer has died.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from otelctx.demo.services import Address
from otelctx.errors import OtelctxError

_POLL_SECONDS = 0.05


class NotReadyError(OtelctxError):
    """A process runs but does not become ready."""


def wait_until(done: Callable[[], bool], *, check: Callable[[], None], deadline: float) -> bool:
    """
    Return whether *done* became true before *deadline*, a time of `time.monotonic`.

    *check* is called between the tries and raises when waiting has become pointless.
    """
    while not done():
        check()
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def wait_for_health(addresses: Mapping[str, Address], *, check: Callable[[], None], deadline: float) -> None:
    """
    Return when every service has answered ``GET /healthz`` with status 200.

    There is one request for each service, and it waits in the queue of the listening socket until the service is up.

    Raises:
        NotReadyError: when one answers wrongly, or not before *deadline*.
    """
    with ExitStack() as exits, selectors.DefaultSelector() as selector:
        for name, address in addresses.items():
            with _dying_is_the_better_reason(name, check):
                connection = exits.enter_context(socket.create_connection(("127.0.0.1", address.port)))
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            selector.register(connection, selectors.EVENT_READ, (name, connection))
        while selector.get_map():
            check()
            for key, _ in selector.select(_POLL_SECONDS):
                name, connection = key.data
                with _dying_is_the_better_reason(name, check):
                    _require_success(connection)
                selector.unregister(connection)
            if time.monotonic() > deadline and selector.get_map():
                waiting = ", ".join(sorted(key.data[0] for key in selector.get_map().values()))
                message = f"no answer from {waiting}; is the machine very busy?"
                raise NotReadyError(message)


def _require_success(connection: socket.socket) -> None:
    answer = connection.recv(64)
    if b" 200 " not in answer:
        message = f"it answered {answer!r}"
        raise ConnectionError(message)


@contextmanager
def _dying_is_the_better_reason(name: str, check: Callable[[], None]) -> Iterator[None]:
    """Turn a connection error into what *check* says of a process that dies, else into `NotReadyError`."""
    try:
        yield
    except ConnectionError as error:
        # A dying process closes its sockets a moment before it can be seen to have died.
        wait_until(lambda: False, check=check, deadline=time.monotonic() + 1)
        message = f"{name} is not healthy: {error}"
        raise NotReadyError(message) from error
