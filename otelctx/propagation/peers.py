"""
Peers: who a carrier came from, in so far as somebody knows who cannot be its sender.

That is the server, which has the connection, or the application, which says it. A carrier's own content never counts:
so it is the getter that tells what kind of carrier it is, and not what is in there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from socket import AddressFamily
from typing import Any, Final
from urllib.parse import unquote

from opentelemetry.context import Context, create_key

from otelctx.errors import DestinationError
from otelctx.native import compiled
from otelctx.propagation.destination import OWN_NETWORKS, Address, Network, address_of, parse

PEER_KEY: Final = create_key("otelctx-peer")

# In a scope, the peer that the server had before it put in its place whom a header names.
CONNECTED: Final = "otelctx.connected"

_LONGEST: Final = 255
_MOST_KINDS: Final = 64
_PORT: Final = re.compile(r":[0-9]{1,5}$")
# What OpenTelemetry and gRPC call the addresses of a connection:
# https://github.com/grpc/grpc/blob/master/doc/naming.md
_GRPC: Final = re.compile(r"ipv[46]:(.+)")

# Private networks, and link-local (RFC 3927, RFC 4291): whoever calls from there is on the same wire. Not RFC 6598
# (100.64.0.0/10), which a carrier shares among strangers.
PRIVATE: Final[tuple[Network, ...]] = (*OWN_NETWORKS, IPv4Network("169.254.0.0/16"), IPv6Network("fe80::/10"))


@dataclass(frozen=True)
class Peer:
    """
    Somebody.

    Attributes:
        name: ``unix``, ``unknown``, the source of a message, or whatever a server calls it; empty for an address.
        address: if it is one.
        one_label: it is the source of a message, and its name has no dot, as those of one's own have.
    """

    name: str = ""
    address: Address | None = None
    one_label: bool = False


UNKNOWN: Final = Peer("unknown")
UNIX: Final = Peer("unix")
# Who has started this process and written its environment.
PARENT: Final = Peer("parent")

_WORDS: Final = frozenset({"*", "private", "unix", "unknown", "parent"})


def peer_at(text: str | None) -> Peer:
    """Return who is at *text*, which a server or a proxy says: an address, or a name that means nothing more."""
    if not text or len(text) > _LONGEST:
        return UNKNOWN
    address = address_at(text)
    if address is not None:
        return Peer(address=address)
    return UNKNOWN if text in _WORDS or "://" in text else Peer(text)


def peer_named(text: str) -> Peer:
    """
    Return who *text* names, which the application says: an address, ``unix``, or the source of a message.

    >>> peer_named("ipv6:%5B::1%5D:5000").address, peer_named("kafka://orders").name, peer_named("unix:/run/s").name
    (IPv6Address('::1'), 'kafka://orders', 'unix')
    """
    if len(text) > _LONGEST:
        return UNKNOWN
    if text == "unix" or text.startswith(("unix:", "unix-abstract:")):
        return UNIX
    if "://" in text:
        try:
            source = parse(text)
        except DestinationError:
            return UNKNOWN
        return Peer(str(source), source.address, one_label=source.address is None and "." not in source.host)
    grpc = _GRPC.fullmatch(text)
    return peer_at(unquote(grpc[1]) if grpc else text)


def address_at(text: str) -> Address | None:
    """
    Return the address in *text*, which may have a port, or None.

    >>> address_at("[::ffff:10.0.0.1]:443"), address_at("10.0.0.1:80"), address_at("orders:80")
    (IPv4Address('10.0.0.1'), IPv4Address('10.0.0.1'), None)
    """
    port = _PORT.search(text) if text.startswith("[") or text.count(":") == 1 else None
    return address_of(text[: port.start()] if port else text)


class Peers:
    """
    The peers that *patterns* name.

    A pattern is an address, a network, ``unix``, ``unknown``, ``private`` (private networks, Unix sockets and message
    sources whose name has one label), ``*``, a message source in which ``*`` stands for any text, or a name.

    Raises:
        ValueError: a pattern is none of these.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Parse *patterns*, once."""
        self.patterns = tuple(patterns)
        self.networks: tuple[Network, ...] = ()
        self._names: set[str] = set()
        self._sources: tuple[str, ...] = ()
        self._with_private = False
        for pattern in self.patterns:
            self._add(pattern)

    def _add(self, pattern: str) -> None:
        if pattern == "private":
            self._with_private = True
            self.networks += PRIVATE
            self._names.add(UNIX.name)
        elif "://" in pattern:
            self._sources += (pattern,)
        elif pattern == "localhost" or not pattern:
            raise ValueError(f"{pattern!r} is none; loopback is '127.0.0.0/8' and '::1'")
        elif "/" in pattern or pattern[0].isdigit() or ":" in pattern:
            self.networks += (_network(pattern),)
        else:
            self._names.add(pattern)

    def __contains__(self, peer: Peer) -> bool:
        """Tell whether *peer* is one of them."""
        if "*" in self._names:
            return True
        if peer.address is not None:
            return any(peer.address in network for network in self.networks)
        if "://" in peer.name:
            is_own = self._with_private and peer.one_label
            return is_own or any(fnmatchcase(peer.name, pattern) for pattern in self._sources)
        return peer.name in self._names


def _network(text: str) -> Network:
    network = ip_network(text.removeprefix("[").removesuffix("]"))
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None else IPv4Network(f"{mapped}/{max(network.prefixlen - 96, 0)}")


def with_peer(context: Context, peer: str | Peer) -> Context:
    """Return *context* for an extraction from a carrier of *peer*; what is extracted does not have it any more."""
    return Context({**context, PEER_KEY: peer})


@compiled
def scope_peer(scope: Mapping[str, Any]) -> str | Peer | None:
    """Return who an ASGI *scope* came from, or None."""
    client = scope[CONNECTED] if CONNECTED in scope else scope.get("client")
    if client:
        return str(client[0])
    # "A server listening on a unix domain socket": https://asgi.readthedocs.io/en/latest/specs/www.html
    server = scope.get("server")
    return UNIX if server and server[1] is None else None


def environ_peer(environ: Mapping[str, Any]) -> str | Peer | None:
    """Return who a WSGI *environ* came from, or None."""
    address: str | None = environ.get("REMOTE_ADDR")
    # What werkzeug calls the other end of a Unix socket. Gunicorn leaves it empty; so do adapters that know nobody.
    is_unix = address == "<local>" or (address == "" and _is_unix(environ.get("gunicorn.socket")))
    return UNIX if is_unix else address


def _is_unix(connection: object) -> bool:
    family = getattr(connection, "family", None)
    return isinstance(family, AddressFamily) and family.name == "AF_UNIX"


Reader = Callable[[Any], str | Peer | None]

# By the module and name of its class, so that nothing is imported for it.
_OPENTELEMETRYS: Final[Mapping[tuple[str, str], Reader]] = {
    ("opentelemetry.instrumentation.asgi", "ASGIGetter"): scope_peer,
    ("opentelemetry.instrumentation.wsgi", "WSGIGetter"): environ_peer,
}


@lru_cache(maxsize=_MOST_KINDS)
def reader_of(kind: type) -> Reader | None:
    """
    Return what tells who a carrier came from that a getter of *kind* reads, or None if nothing does.

    Getters of ours that know have it as ``otelctx_peer``.
    """
    return getattr(kind, "otelctx_peer", None) or _OPENTELEMETRYS.get((kind.__module__, kind.__qualname__))
