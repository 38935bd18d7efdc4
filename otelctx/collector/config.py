"""
The collector's configuration: one frozen value, checked when it is made.

Every bound of the process (bytes in flight, size and age of the store, time to stop) stands here and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otelctx.errors import CollectorError

if TYPE_CHECKING:
    from collections.abc import Mapping

MEBIBYTE = 1024 * 1024
MEMORY = ":memory:"
LAST_PORT = 65_535
LARGEST_BOUND = 2**40
LEAST_STORE_BYTES = 4 * MEBIBYTE


@dataclass(frozen=True)
class CollectorConfig:
    """
    Say where the collector listens, what it keeps and what it refuses.

    Args:
        host: Address to listen on; anything but a loopback address opens the collector to the network.
        http_port: OTLP/HTTP, the query interface and the page; 0 takes a free port.
        grpc_port: OTLP/gRPC; 0 takes a free port.
        store: The SQLite file, or ``":memory:"`` for a temporary one that is removed at the end.
        max_body_bytes: Bytes of one request, compressed and decompressed alike.
        max_inflight_bytes: Bytes of all requests between their first byte and their commit.
        max_store_bytes: Size of the store; the oldest records go first.
        max_age_seconds: Age, counted from arrival, at which a record goes.
        head_timeout_seconds: Time a client has from connecting, or from a request's first byte, to the end of its head.
        body_timeout_seconds: Time a sender has for one body.
        shutdown_seconds: Bound on every step of a graceful stop.
        forward_url: Base address of an OTLP/HTTP endpoint that gets a copy of everything, or None.
        forward_headers: Headers for that endpoint, such as its key.
        max_forward_bytes: Bytes that wait for that endpoint; more is dropped and counted.
        access_log: Whether each HTTP request is logged.

    Raises:
        CollectorError: for a value that cannot work; the message says which and what to do.
    """

    host: str = "127.0.0.1"
    http_port: int = 4318
    grpc_port: int = 4317
    store: Path | str = MEMORY
    max_body_bytes: int = 16 * MEBIBYTE
    max_inflight_bytes: int = 64 * MEBIBYTE
    max_store_bytes: int = 512 * MEBIBYTE
    max_age_seconds: float = 7 * 86_400
    head_timeout_seconds: float = 5
    body_timeout_seconds: float = 30
    shutdown_seconds: float = 5
    forward_url: str | None = None
    forward_headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    max_forward_bytes: int = 32 * MEBIBYTE
    access_log: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name in ("http_port", "grpc_port"):
            if not 0 <= (port := getattr(self, name)) <= LAST_PORT:
                msg = f"{name} is {port}; give a number from 0 (any free port) to 65535"
                raise CollectorError(msg)
        if self.http_port == self.grpc_port != 0:
            msg = f"http_port and grpc_port are both {self.http_port}; give them two different ports, or 0"
            raise CollectorError(msg)
        for name in ("max_body_bytes", "max_inflight_bytes", "max_age_seconds", "max_forward_bytes"):
            if not 0 < (bound := getattr(self, name)) < LARGEST_BOUND:
                msg = f"{name} is {bound}; give a positive number below {LARGEST_BOUND}"
                raise CollectorError(msg)
        if self.max_inflight_bytes < self.max_body_bytes:
            msg = f"max_inflight_bytes is {self.max_inflight_bytes}; give at least one body, {self.max_body_bytes}"
            raise CollectorError(msg)
        if self.max_store_bytes < LEAST_STORE_BYTES:
            msg = f"max_store_bytes is {self.max_store_bytes}; give at least 4 MiB"
            raise CollectorError(msg)
        if self.forward_url is not None:
            check_forward_url(self.forward_url)
        check_headers(self.forward_headers)

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can connect."""
        return is_loopback(self.host)


def check_forward_url(url: str) -> None:
    """
    Raise unless *url* is the base of an HTTP endpoint.

    Raises:
        CollectorError: with the expected form.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        msg = f"Cannot forward to {url!r}; give an OTLP/HTTP base address such as http://127.0.0.1:4318"
        raise CollectorError(msg)


def check_headers(headers: Mapping[str, str]) -> None:
    """
    Raise unless all *headers* can be sent (RFC 9110, 5.1 and 5.5); a value may be a secret and is not shown.

    Raises:
        CollectorError: with the name of the first that cannot.
    """
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[ -~]*", value):
            msg = f"The forward header {name!r} has characters that headers cannot have; check its quoting"
            raise CollectorError(msg)


def is_loopback(host: str) -> bool:
    """
    Tell whether *host* (a name or an address, without port or brackets) can only be this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("::1"), is_loopback("example.com")
    (True, True, True, False)
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def default_store(environ: Mapping[str, str]) -> Path:
    """
    Name the store's file under the user's state directory (XDG Base Directory: ``XDG_STATE_HOME``).

    >>> default_store({"XDG_STATE_HOME": "/var/state"}).as_posix()
    '/var/state/otelctx/collector.sqlite3'
    """
    base = environ.get("XDG_STATE_HOME", "")
    # The specification: a relative path is invalid and must be ignored.
    state = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    return state / "otelctx" / "collector.sqlite3"
