"""
Destinations: where a call or a message goes, in one normal form.

Hosts are parsed once and compared whole, never as parts of a text. What two parsers could read differently is no
destination: whoever asks then treats it as unknown, which is the strictest answer there is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from otelctx.errors import DestinationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Loopback (RFC 1122, RFC 4291) and private use (RFC 1918, RFC 4193). Not `is_private`, which counts documentation and
# benchmark networks too and differs between Python versions; and not link-local, where clouds serve their metadata.
OWN_NETWORKS: Final[tuple[Network, ...]] = (
    *map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
    *map(IPv6Network, ("::1/128", "fc00::/7")),
)

# What these lead to is a name as it stands (a topic, an exchange, a program, a path), and no host.
NAMING_SCHEMES: Final = frozenset({"kafka", "amqp", "process", "unix"})

_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")  # RFC 3986, section 3.1
# RFC 3986, section 3.2, with one userinfo at most and no backslash: parsers do not agree on more.
_AUTHORITY: Final = re.compile(r"(?:[^@\\]*@)?(\[[^@\\\[\]]*\]|[^@:\\\[\]]*)(?::([0-9]{0,5}))?")
_MAX_PORT: Final = 65535
_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")  # RFC 1035, section 2.3.1, with the underscore that is in use
_MAX_HOST: Final = 253
# https://url.spec.whatwg.org/#ends-in-a-number-checker: resolvers take such a name for an address (inet_aton(3)).
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PLAIN_URL: Final = re.compile(r"((?:https?|wss?)://[A-Za-z0-9._:\[\]-]{1,261})(?:[/?#][^\x00-\x1f\x7f]*)?")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
# What IDNA 2003 and IDNA 2008 encode differently, RFC 5894, section 7.2: clients do either.
_AMBIGUOUS: Final = frozenset("ßς\u200c\u200d")


class Destination(NamedTuple):
    """
    Where something goes.

    Attributes:
        scheme: in lower case.
        host: a name in lower case and ASCII without the final dot, an address in its shortest form, or the name that
            one of `NAMING_SCHEMES` leads to.
        port: the given one or that of the scheme; None where neither is.
        address: the host as an address, when it is one; an IPv4-mapped one is its IPv4 address.
    """

    scheme: str
    host: str
    port: int | None = None
    address: Address | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        port = "" if self.port is None or self.port == _PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse(url: str) -> Destination:
    """
    Return the destination of *url*.

    Raises:
        DestinationError: there is none that is clear; the message says why, and quotes nothing.

    >>> parse("HTTPS://user@API.Example.com.:8443/path?query").host
    'api.example.com'
    >>> str(parse("http://[::ffff:10.0.0.1]/"))
    'http://10.0.0.1'
    """
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or not _SCHEME.fullmatch(scheme):
        raise DestinationError("it has no scheme; write it like https://api.example.com")
    if _CONTROL.search(url):
        raise DestinationError("it has a control character")
    if scheme in NAMING_SCHEMES:
        return destination(scheme, rest)
    try:
        # Raises for brackets that do not match, and for characters that become separators when they are normalised.
        authority = _AUTHORITY.fullmatch(urlsplit(url).netloc)
    except ValueError:
        authority = None
    if authority is None:
        raise DestinationError("where its host begins and ends is not clear")
    host, port = authority.groups()
    if port and int(port) > _MAX_PORT:
        raise DestinationError(f"its port is over {_MAX_PORT}")
    return destination(scheme, host, int(port) if port else None)


def origin_of(url: str) -> str | None:
    """
    Return the part of *url* that its destination is in, which `parse` reads alike; None where that is not plain.

    >>> origin_of("http://orders:8000/new?for=alice"), origin_of("kafka://orders"), origin_of("http://user@orders/")
    ('http://orders:8000', None, None)
    """
    found = _PLAIN_URL.fullmatch(url)
    return None if found is None else found[1]


def destination(scheme: str, host: str, port: int | None = None) -> Destination:
    """
    Return the destination of these parts of a URL, as a client that has parsed it gives them.

    Args:
        scheme: in lower case.
        host: a name or an address, an IPv6 address with or without brackets; or the name that one of
            `NAMING_SCHEMES` leads to.
        port: that of the scheme unless given.

    Raises:
        DestinationError: there is none that is clear; the message says why, and quotes nothing.
    """
    if scheme in NAMING_SCHEMES:
        if not host or not host.isprintable() or " " in host:
            raise DestinationError(f"{scheme}:// needs a name after it")
        return Destination(scheme, host)
    name, address = parse_host(host)
    return Destination(scheme, name, _PORTS.get(scheme) if port is None else port, address)


@lru_cache(maxsize=1024)
def known(scheme: str, host: str, port: int | None = None) -> Destination | None:
    """Return the `destination` of these parts, or None where it is not clear; many calls go to few hosts."""
    try:
        return destination(scheme, host, port)
    except DestinationError:
        return None


def known_url(url: str) -> Destination | None:
    """Return the destination of *url*, or None where it is not clear."""
    try:
        return parse(url)
    except DestinationError:
        return None


def parse_host(text: str) -> tuple[str, Address | None]:
    """
    Return the host *text* in its normal form, and its address if it is one.

    Raises:
        DestinationError: it is neither a name nor an address that every resolver reads alike.

    >>> parse_host("Bücher.example")[0], parse_host("::FFFF:7f00:1")[0]
    ('xn--bcher-kva.example', '127.0.0.1')
    """
    address = address_of(text)
    if address is not None:
        return str(address), address
    name = text.lower() if text.isascii() else _in_ascii(text)
    name = name.removesuffix(".")
    labels = name.split(".")
    if len(name) > _MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise DestinationError("its host is empty" if not text else "its host is neither a name nor an address")
    if _NUMBER.fullmatch(labels[-1]):
        raise DestinationError("its host is a number or an unusual form of an address; write it like 127.0.0.1")
    return name, None


def address_of(text: str) -> Address | None:
    """
    Return *text* as an address, or None if it is none; zone and brackets are left out, IPv4-mapped is IPv4.

    >>> address_of("[fe80::1%eth0]"), address_of("127.1")
    (IPv6Address('fe80::1'), None)
    """
    try:
        if ":" not in text:
            return IPv4Address(text)
        within = text[1:-1] if text.startswith("[") and text.endswith("]") else text
        address = IPv6Address(within.partition("%")[0])
    except AddressValueError:
        return None
    return address.ipv4_mapped or address


def is_own(address: Address) -> bool:
    """
    Tell whether *address* is loopback or private: of this machine or of a network of one's own.

    >>> is_own(IPv4Address("10.1.2.3")), is_own(IPv4Address("169.254.169.254"))
    (True, False)
    """
    return any(address in network for network in OWN_NETWORKS)


def _in_ascii(name: str) -> str:
    if not _AMBIGUOUS.isdisjoint(name) or len(name) > _MAX_HOST:
        raise DestinationError("its host has no clear ASCII form; write the one that begins with xn--")
    try:
        return name.encode("idna").decode("ascii").lower()
    except UnicodeError as error:
        raise DestinationError("its host is not a valid international name") from error
