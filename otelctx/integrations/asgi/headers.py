"""
The headers of one ASGI scope, sorted once, since each propagator asks for several of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from opentelemetry.propagators.textmap import Getter

from otelctx.integrations.asgi.types import Scope
from otelctx.native import compiled
from otelctx.propagation.peers import scope_peer


@lru_cache
def _name(key: str) -> bytes:
    return key.lower().encode("latin-1")


def _are_lower(names: Iterable[bytes]) -> bool:
    try:
        return b"".join(names).islower()
    except TypeError:  # texts, which ASGI does not allow, and which are no reason to fail
        return False


@compiled
class HeaderTexts:
    """The headers of one scope, by their bytes."""

    __slots__ = ("_all", "_one")

    def __init__(self, scope: Scope) -> None:
        """Sort the headers of *scope*, which are bytes there."""
        given = scope.get("headers") or ()
        if not isinstance(given, (list, tuple)):  # any iterable, says ASGI
            scope["headers"] = given = [*given]
        self._one: dict[bytes, bytes] = dict(given)
        self._all: dict[bytes, list[bytes]] | None = None
        # Servers give names in lower case, and clients send most headers once.
        if self._one and (len(self._one) != len(given) or not _are_lower(self._one)):
            self._all = {}
            for name, value in given:
                self._all.setdefault(name.lower(), []).append(value)

    def values(self, name: bytes) -> Sequence[bytes]:
        """Return all values of header *name*, which is in lower case."""
        if self._all is not None:
            return self._all.get(name, ())
        value = self._one.get(name)
        return () if value is None else (value,)

    def otelctx_headers(self, wanted: Mapping[bytes, str]) -> dict[str, list[str]]:
        """Return all values of those headers that are *wanted*, by their bytes and names."""
        if self._all is not None:
            several = self._all
            return {name: [v.decode("latin-1") for v in several[key]] for key, name in wanted.items() if key in several}
        one = self._one
        return {name: [one[key].decode("latin-1")] for key, name in wanted.items() if key in one}


class Headers(HeaderTexts, Getter[Scope]):
    """The headers of one scope, by name in lower case."""

    __slots__ = ()

    otelctx_peer = staticmethod(scope_peer)

    def get(self, carrier: Scope, key: str) -> list[str] | None:  # noqa: ARG002 - the interface
        """Return all values of header *key*."""
        if self._all is not None:
            found = self._all.get(_name(key))
            return None if found is None else [value.decode("latin-1") for value in found]
        value = self._one.get(_name(key))
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Scope) -> list[str]:  # noqa: ARG002 - the interface
        """Return the names of all headers."""
        return [name.decode("latin-1") for name in (self._one if self._all is None else self._all)]
