"""
Refused connections: nobody listens at the address. That is worth a word that helps.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

_LONGEST_CHAIN: Final = 10
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def no_collector(endpoint: str) -> str:
    """
    Say that nobody listens at *endpoint*, which has no user and no password in it, and what to do.

    >>> no_collector("http://collector.example:4318")
    'No collector answers at http://collector.example:4318; check OTEL_EXPORTER_OTLP_ENDPOINT.'
    """
    host = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}").hostname
    here = "start one with 'otelctx collector', or set OTEL_EXPORTER_OTLP_ENDPOINT"
    return (
        f"No collector answers at {endpoint}; {here if host in _THIS_MACHINE else 'check OTEL_EXPORTER_OTLP_ENDPOINT'}."
    )


def is_refusal(error: BaseException) -> bool:
    """Tell whether *error* came of a connection that was refused, and not by a proxy."""
    chain = [*islice(_chain(error), _LONGEST_CHAIN)]
    by_proxy = any(type(link).__name__ == "ProxyError" for link in chain)  # of requests and of urllib3
    return not by_proxy and any(isinstance(link, ConnectionRefusedError) for link in chain)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
