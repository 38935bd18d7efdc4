"""
Patterns: how a rule names destinations.

``[scheme://](name | *.suffix | address | network)[:port]``. Hosts are compared whole, in the normal form that
destinations have; a network matches addresses and no name, whatever that resolves to.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from otelctx.errors import DestinationError
from otelctx.propagation.destination import NAMING_SCHEMES, Destination, Network, parse

_EXAMPLES: Final = "'api.example.com', '*.corp.example', '10.0.0.0/8' or 'host:8443'"
_NO_SCHEME: Final = "any"


@dataclass(frozen=True)
class Pattern:
    """
    What a rule says of destinations.

    Attributes:
        text: as it is written.
        scheme: the only one it matches, if it names one.
        port: the only one it matches, if it names one or its scheme has one.
        name: the whole host that it matches, or what a naming scheme leads to.
        suffix: what a name ends in, from a dot on; one or more labels stand before it.
        network: the addresses that it matches.
        one_label: it matches all names without a dot.
    """

    text: str
    scheme: str | None = None
    port: int | None = None
    name: str | None = None
    suffix: str | None = None
    network: Network | None = None
    one_label: bool = False

    def matches(self, destination: Destination) -> bool:
        """Tell whether it means *destination*."""
        scheme, host, port, address = destination
        if scheme in NAMING_SCHEMES or self.scheme in NAMING_SCHEMES:
            return scheme == self.scheme and self.name in (None, host)
        if self.scheme not in (None, scheme) or self.port not in (None, port):
            return False
        if address is not None or self.network is not None:
            return address is not None and self.network is not None and address in self.network
        if self.suffix is not None:
            return host.endswith(self.suffix)
        return "." not in host if self.one_label else host == self.name


def parse_pattern(text: str) -> Pattern:
    """
    Return the pattern that *text* is.

    Raises:
        DestinationError: it is none; the message says what to write.

    >>> parse_pattern("*.corp.example").matches(parse("https://a.corp.example"))
    True
    >>> parse_pattern("*.corp.example").matches(parse("https://corp.example"))
    False
    """
    scheme, separator, host = text.partition("://")
    if not separator:
        scheme, host = _NO_SCHEME, text
    scheme = scheme.lower()
    if scheme in NAMING_SCHEMES:
        name = parse(f"{scheme}://{host}").host
        return Pattern(text, scheme, name=None if name == "*" else name)
    if "/" in host and not separator:
        network = _network(host)
        if network is not None:
            return Pattern(text, network=network)
    if any(mark in host for mark in "/?#"):
        raise DestinationError("a rule names hosts, not paths; leave out what follows the host")
    if "@" in host:
        raise DestinationError("a rule names hosts; leave out the user before the @")
    is_suffix = host.startswith("*.")
    _check_stars(host, is_suffix=is_suffix)
    bare_ipv6 = host.count(":") > 1 and not host.startswith("[")
    found = parse(f"{scheme}://{f'[{host}]' if bare_ipv6 else host.removeprefix('*.')}")
    only_scheme = scheme if separator else None
    if not is_suffix and found.address is not None:
        return Pattern(text, only_scheme, found.port, network=ip_network(found.address))
    if found.address is not None:
        raise DestinationError("'*.' stands before names, not addresses; write a network such as '10.0.0.0/8'")
    if is_suffix:
        return Pattern(text, only_scheme, found.port, suffix=f".{found.host}")
    return Pattern(text, only_scheme, found.port, name=found.host)


def _network(text: str) -> Network | None:
    try:
        return ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise DestinationError(
                f"a network has no bits after its mask; write '{ip_network(text, strict=False)}'"
            ) from error
        return None


def _check_stars(host: str, *, is_suffix: bool) -> None:
    if host.rstrip(":0123456789") in ("*", "*."):
        raise DestinationError("'*' would be everyone; name the hosts, or a domain such as '*.corp.example'")
    if "*" in host[2 if is_suffix else 0 :]:
        raise DestinationError("'*' stands for whole labels at the start only, as in '*.corp.example'")
    if host.startswith("."):
        raise DestinationError(f"write '*{host}' for the names under it")
    if not host:
        raise DestinationError(f"expected a host, such as {_EXAMPLES}")
