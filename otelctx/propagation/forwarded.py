"""
Forwarded headers: whom a request passed through before the peer, as the proxies say, the client first.

What is not an address is somebody unknown. Any text is read in linear time, and one that is too long names nobody.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from otelctx.propagation.peers import UNKNOWN, Peer, address_at

HEADERS: Final = ("forwarded", "x-forwarded-for", "x-real-ip")

MAX_LENGTH: Final = 2048
MAX_HOPS: Final = 32

# forwarded-pair, RFC 7239 section 4, up to the separator. Real proxies leave out the quotes around a port.
_PAIR: Final = re.compile(
    r"""[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;=]+)))?[ \t]*([;,]|$)"""
)
_ESCAPED: Final = re.compile(r"\\(.)")


def hops(header: str, values: Sequence[str]) -> list[Peer]:
    """Return whom all *values* of *header*, one of `HEADERS`, name together; a bad one is somebody unknown."""
    text = ",".join(values)
    if len(text) > MAX_LENGTH or text.count(",") >= MAX_HOPS:
        return [UNKNOWN]
    names = _forwarded(text) if header == "forwarded" else [name.strip(" \t") for name in text.split(",")]
    return [_hop(name) for name in names]


def _hop(name: str) -> Peer:
    address = address_at(name)
    return UNKNOWN if address is None else Peer(address=address)


def _forwarded(text: str) -> list[str]:
    """Return the ``for`` of each element, an empty text where it has none."""
    names: list[str] = []
    name: str | None = None
    position = 0
    while True:
        pair = _PAIR.match(text, position)
        if pair is None:
            return [""]
        parameter, quoted, plain, separator = pair.groups()
        if parameter is not None and parameter.lower() == "for":
            # "Each parameter MUST NOT occur more than once per field-value."
            if name is not None:
                return [""]
            name = plain if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if separator != ";":
            names.append(name or "")
            name = None
        if not separator:
            return names
        position = pair.end()
