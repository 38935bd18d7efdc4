"""
Addresses: where a client span went, and where the server spans of a story were reached.

Hosts are compared as parsed hosts with their ports; a path, query or user name of a URL is never part of an address.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from otelctx.story.records import Attributes, SpanRecord, as_text
from otelctx.story.tree import Record

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """What a client span called: an address and, where the instrumentation says it, a service's name."""

    address: tuple[str, int | None]
    path: str = ""
    service_name: str | None = None

    def __str__(self) -> str:
        """Return host and port, without a port that goes without saying."""
        host, port = self.address
        shown = f"[{host}]" if ":" in host else host
        return shown if port in (None, *_DEFAULT_PORTS.values()) else f"{shown}:{port}"


def target_of(span: SpanRecord) -> Target | None:
    """
    Return where a client *span* went; None when it does not say.

    Source: the semantic conventions for HTTP and RPC spans, old and new.
    """
    attributes = span.attributes
    peer = as_text(attributes.get("service.peer.name")) or as_text(attributes.get("peer.service")) or None
    url = as_text(attributes.get("url.full")) or as_text(attributes.get("http.url"))
    if url:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError:
            host, port, path = None, None, ""
        else:
            path = parts.path
        if host:
            return Target((host, port), path, peer or host)
    address = _address(attributes)
    if address is not None:
        return Target(address, service_name=peer or address[0])
    return Target((peer, None), service_name=peer) if peer else None


def own_addresses(records: Iterable[Record]) -> frozenset[tuple[str, int | None]]:
    """Return the addresses at which the server spans among *records* were reached, as far as they say."""
    servers = (record for record in records if isinstance(record, SpanRecord) and record.kind == "server")
    found = (_address(span.attributes) for span in servers)
    return frozenset(address for address in found if address is not None and address[1] is not None)


def _address(attributes: Attributes) -> tuple[str, int | None] | None:
    for host_name, port_name in (
        ("server.address", "server.port"),
        ("net.peer.name", "net.peer.port"),
        ("http.host", "net.host.port"),
        ("net.host.name", "net.host.port"),
    ):
        host, port = as_text(attributes.get(host_name)), attributes.get(port_name)
        if host and (host_name != "net.peer.name" or port is not None):
            name = host.rsplit(":", 1)[0] if host.count(":") == 1 else host
            return (name.lower().strip("[]"), port if isinstance(port, int) else None)
    return None
