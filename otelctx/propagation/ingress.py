"""
The inbound policy: what is believed of what comes in, and from whom.

The first rule that names a peer counts; a peer that none names is a stranger. What a forwarded header says can raise
nobody's trust, unless it comes from a proxy that is named as trusted. The policy is immutable and replaced as a whole,
so the request path reads it without a lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replaced
from enum import IntEnum
from threading import Lock
from typing import Final

from opentelemetry.context import Context

from otelctx.propagation.carriers import Headers
from otelctx.propagation.forwarded import HEADERS, hops
from otelctx.propagation.peers import (
    PARENT,
    PEER_KEY,
    UNKNOWN,
    Peer,
    Peers,
    Reader,
    peer_at,
    peer_named,
)


class Mode(IntEnum):
    """What becomes of what came in; of two, the lower one believes less."""

    IGNORE = 0
    """It counts as not sent."""
    RESTART = 1
    """It begins anew, and what came in is kept as a relation."""
    CONTINUE = 2
    """It is adopted."""


@dataclass(frozen=True)
class Trust:
    """
    What is believed of a peer.

    Attributes:
        trace: its trace context.
        baggage: its fields, in baggage and in headers of their own.
        fields: names or baggage keys of the fields that are accepted from it; None stands for all, and for members
            that no field declares.
        sealed: its fields need a valid seal.
    """

    trace: Mode = Mode.CONTINUE
    baggage: Mode = Mode.CONTINUE
    fields: frozenset[str] | None = None
    sealed: bool = False

    def and_of(self, other: Trust) -> Trust:
        """Return what is believed of both."""
        if other is self:
            return self
        fields = other.fields if self.fields is None else self.fields
        if self.fields is not None and other.fields is not None:
            fields = self.fields & other.fields
        return Trust(
            min(self.trace, other.trace), min(self.baggage, other.baggage), fields, self.sealed or other.sealed
        )


EVERYTHING: Final = Trust()
STRANGER: Final = Trust(fields=frozenset({"request_id"}))


@dataclass(frozen=True)
class Rule:
    """What is believed of *peers*."""

    peers: Peers
    trust: Trust


DEFAULT_RULES: Final = (Rule(Peers(["private"]), EVERYTHING),)

# Peers choose their own texts, so what is remembered of them is bounded.
_MOST_REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 64


class Ingress:
    """
    All rules, and what they come to for each peer seen so far.

    Args:
        rules: the first that names a peer counts.
        defaults: add the default rules, after the others.
        trusted_proxies: those whose forwarded headers tell who the peer is.
        sealed: those whose fields need a valid seal.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        *,
        defaults: bool = True,
        trusted_proxies: Peers | None = None,
        sealed: Peers | None = None,
    ) -> None:
        """Judge nobody yet."""
        self.sealed = sealed
        self.rules = (*rules, *(DEFAULT_RULES if defaults else ()))
        self.trusted_proxies = trusted_proxies
        self.of_unknown = self.of(UNKNOWN)
        self._at: dict[str, Trust] = {}
        self._named: dict[str, Trust] = {}

    def of(self, peer: Peer) -> Trust:
        """Return what is believed of *peer*."""
        if peer is PARENT:
            return EVERYTHING
        trust = next((rule.trust for rule in self.rules if peer in rule.peers), STRANGER)
        return trust if self.sealed is None or peer not in self.sealed else replaced(trust, sealed=True)

    def requiring(self, sealed: Peers) -> Ingress:
        """Return this policy, with *sealed* as those whose fields need a valid seal."""
        return Ingress(self.rules, defaults=False, trusted_proxies=self.trusted_proxies, sealed=sealed)

    def of_named(self, text: str) -> Trust:
        """Return what is believed of whom the application names."""
        trust = self._named.get(text)
        return _remember(self._named, text, self.of(peer_named(text))) if trust is None else trust

    def of_connected(self, text: str) -> Trust:
        """Return what is believed of whom a server has a connection with."""
        trust = self._at.get(text)
        return _remember(self._at, text, self.of(peer_at(text))) if trust is None else trust

    def of_forwarded(self, peer: Peer, chains: Sequence[Sequence[Peer]]) -> Trust:
        """
        Return what is believed of a request that came from *peer* by way of *chains*.

        Without trusted proxies, that is what is believed of all of them. With them, it is the nearest hop in each chain
        that is no trusted proxy, and of several the one that is believed less.
        """
        trust = self.of(peer)
        if self.trusted_proxies is None:
            for hop in {hop for chain in chains for hop in chain}:
                trust = trust.and_of(self.of(hop))
            return trust
        is_proxy = peer in self.trusted_proxies
        # Where it is in the chain itself, the server has put it in the proxy's place already, by rules of its own.
        clients = [self._outermost(chain) for chain in chains if is_proxy or peer in chain]
        if is_proxy and clients:
            trust = self.of(clients[0])
        for client in clients:
            trust = trust.and_of(self.of(client))
        return trust

    def _outermost(self, chain: Sequence[Peer]) -> Peer:
        proxies = self.trusted_proxies
        return next((hop for hop in reversed(chain) if proxies is None or hop not in proxies), chain[0])


def _remember(known: dict[str, Trust], text: str, trust: Trust) -> Trust:
    if len(text) <= _LONGEST_REMEMBERED:
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
        known[text] = trust
    return trust


_FORWARDED: Final = frozenset(HEADERS)

_lock = Lock()
_active = Ingress()


def ingress() -> Ingress:
    """Return the policy of now."""
    return _active


def replace(new: Ingress) -> Ingress:
    """Make *new* the policy and return the one that was."""
    global _active
    with _lock:
        old, _active = _active, new
    return old


def believed(carrier: object, context: Context, reader: Reader | None, headers: Headers) -> Trust:
    """
    Return what is believed of whom *carrier* came from, as *context* or *reader* tells.

    Args:
        reader: what tells it of such carriers, if something does.
        headers: those of *carrier*; proxies may have written some.
    """
    policy = _active
    named = context.get(PEER_KEY)
    if named is not None:
        return (
            policy.of_named(named)
            if isinstance(named, str)
            else policy.of(named if isinstance(named, Peer) else UNKNOWN)
        )
    peer = None if reader is None else reader(carrier)
    if peer is None:
        return policy.of_unknown
    if not _FORWARDED.isdisjoint(headers):
        found = [hops(header, headers[header]) for header in HEADERS if header in headers]
        return policy.of_forwarded(peer if isinstance(peer, Peer) else peer_at(peer), found)
    return policy.of(peer) if isinstance(peer, Peer) else policy.of_connected(peer)
