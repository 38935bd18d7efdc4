"""
The section ``[otelctx.ingress]``: what is believed of what comes in, and from whom.

While anything in it is wrong, nobody is trusted; see `fail_closed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypedDict

from msgspec import Meta

from otelctx.errors import DestinationError
from otelctx.propagation.ingress import EVERYTHING, STRANGER, Ingress, Mode, Rule, Trust
from otelctx.propagation.peers import Peers
from otelctx.setup.config_schema import Switch, Texts, check_section, check_table
from otelctx.setup.config_source import Source, found

_Mode = Annotated[Literal["continue", "restart", "ignore"], Meta(description="'continue', 'restart' or 'ignore'")]
_PEERS: Final = (
    "addresses, networks, 'private', 'unix', 'unknown', '*', message sources such as 'kafka://orders', or names"
)


class IngressTable(TypedDict, total=False):
    """The table ``[otelctx.ingress]``."""

    rules: Annotated[list[Any], Meta(description="a list of tables")]
    defaults: Switch
    trusted_proxies: Texts


class RuleTable(TypedDict, total=False):
    """One of ``[[otelctx.ingress.rules]]``."""

    peers: Texts
    trace: _Mode
    baggage: _Mode
    fields: Texts


def build_ingress(sources: Sequence[Source], problems: list[str]) -> Ingress | None:
    """Return the policy that *sources* give, or None if they say nothing of it; mistakes are added to *problems*."""
    given = check_section(sources, "ingress", IngressTable, problems)
    if not given:
        return None
    rules: list[Rule] = []
    proxies: Peers | None = None
    if "rules" in given:
        tables, source = given["rules"]
        made = [_rule(source, number, table, problems) for number, table in enumerate(tables, 1)]
        rules = [rule for rule in made if rule is not None]
    if "trusted_proxies" in given:
        patterns, source = given["trusted_proxies"]
        spot = source.at("ingress", "trusted_proxies")
        if "*" in patterns:
            problems.append(f"{spot}: '*' would let every client say who it is; name the proxies or their networks")
        else:
            proxies = peers_of(spot, patterns, problems)
    defaults = "defaults" not in given or given["defaults"][0]
    return Ingress(rules, defaults=defaults, trusted_proxies=proxies)


def _rule(source: Source, number: int, table: object, problems: list[str]) -> Rule | None:
    path = ("ingress", "rules", number)
    if not isinstance(table, dict):
        problems.append(f"{source.at(*path)}: expected a table, got {found(table)}")
        return None
    checked = check_table(source, path, table, RuleTable, problems)
    if "peers" not in table:
        problems.append(f"{source.at(*path)}: expected peers, such as ['private'] or ['*']")
    peers = peers_of(source.at(*path, "peers"), checked.get("peers", ()), problems)
    fields = checked.get("fields")
    trust = Trust(
        Mode[checked.get("trace", "continue").upper()],
        Mode[checked.get("baggage", "continue").upper()],
        STRANGER.fields if fields is None else EVERYTHING.fields if "*" in fields else frozenset(fields),
    )
    return None if peers is None else Rule(peers, trust)


def peers_of(spot: str, patterns: Sequence[str], problems: list[str]) -> Peers | None:
    """Return the peers that *patterns* name; a mistake, found at *spot*, is added to *problems*."""
    try:
        return Peers(patterns)
    except (ValueError, DestinationError) as error:
        problems.append(f"{spot}: expected {_PEERS}: {error}")
        return None
