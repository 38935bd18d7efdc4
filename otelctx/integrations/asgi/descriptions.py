"""
A request's server span, its name and attributes: what OpenTelemetry's ASGI instrumentation says, asked once a kind.

Requests of one kind differ in their path and their client only. What the installed version says of a kind is learnt
from it with marks in the places of those two, and filled in from then on. So semantic conventions, of every version
and stability mode, stay its business. A request that does not fit a kind is described by it directly.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from otelctx.integrations.asgi.headers import Headers
from otelctx.integrations.asgi.types import Scope
from otelctx.signals.clean import PLAIN, Clean

Describe = Callable[[Scope], tuple[str, dict[str, Any]]]

# A path that is written into a URL as it is, whoever parses that.
_SIMPLE_PATH: Final = re.compile(r"/[0-9A-Za-z/_.~-]*")

_MARK: Final = "otelctx-mark"
_PATH: Final = f"/{_MARK}-of-the-path"
_CLIENT: Final = f"{_MARK}-of-the-client"
_PORT: Final = 47110815

# Hosts and user agents are a client's to choose, and so their number is bounded.
_MOST: Final = 256


class Descriptions:
    """What is said of requests, learnt from *describe*, which says it of a scope."""

    def __init__(self, describe: Describe) -> None:
        """Learn from *describe*."""
        self._describe = describe
        self._kinds: dict[tuple[Any, ...], _Kind] = {}
        self._agents: dict[bytes, dict[str, Any]] = {}

    def of(self, scope: Scope, headers: Headers) -> tuple[str, dict[str, Any]]:
        """Return the name and the attributes of the server span of the HTTP request of *scope* with *headers*."""
        hosts, agents = headers.values(b"host"), headers.values(b"user-agent")
        path, client, server = scope["path"], scope.get("client"), scope.get("server")
        is_simple = len(hosts) <= 1 and len(agents) <= 1 and not scope.get("query_string")
        if not is_simple or not _SIMPLE_PATH.fullmatch(path) or not (client is None or _is_plain(client)):
            return self._describe(scope)
        key = (
            scope.get("method"),
            scope.get("scheme"),
            scope.get("http_version"),
            None if server is None else tuple(server),
            *hosts,
            client is None,
        )
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._learn(scope)
            _remember(self._kinds, key, kind)
        if not kind.is_usable:
            return self._describe(scope)
        attributes = kind.filled(path, client)
        for agent in agents:
            found = self._agents.get(agent)
            if found is None:
                found = self._learn_agent(agent)
                _remember(self._agents, agent, found)
            attributes.update(found)
        return kind.name + path, attributes

    def _learn(self, scope: Scope) -> _Kind:
        marked = {
            **scope,
            "path": _PATH,
            "headers": [(name, value) for name, value in scope["headers"] if name.lower() != b"user-agent"],
            "client": None if scope.get("client") is None else (_CLIENT, _PORT),
        }
        return _Kind(*self._describe(marked))

    def _learn_agent(self, agent: bytes) -> dict[str, Any]:
        without: Scope = {"type": "http", "headers": []}
        _, added = self._describe({**without, "headers": [(b"user-agent", agent)]})
        _, known = self._describe(without)
        return {name: value for name, value in added.items() if name not in known}


class _Kind:
    """What requests of one kind have in common, and where their path and their client go."""

    __slots__ = ("_clients", "_common", "_paths", "_ports", "_urls", "is_usable", "name")

    def __init__(self, name: str, marked: dict[str, Any]) -> None:
        self.name = name.removesuffix(_PATH)
        self._common = Clean(marked)
        texts = {name: value for name, value in marked.items() if isinstance(value, str)}
        # A mark that was taken apart cannot be filled in.
        whole = {name: value for name, value in texts.items() if value == _CLIENT or value.endswith(_PATH)}
        rest = [self.name, *(value for name, value in texts.items() if name not in whole)]
        is_clean = all(name and type(name) is str and type(value) in PLAIN for name, value in marked.items())
        self.is_usable = is_clean and name.endswith(_PATH) and not any(_MARK in text for text in rest)
        self._paths = tuple(name for name, value in texts.items() if value == _PATH)
        self._urls = tuple(
            (name, value.removesuffix(_PATH))
            for name, value in texts.items()
            if value.endswith(_PATH) and value != _PATH
        )
        self._clients = tuple(name for name, value in texts.items() if value == _CLIENT)
        self._ports = tuple(name for name, value in marked.items() if value == _PORT)

    def filled(self, path: str, client: Any) -> dict[str, Any]:
        attributes = Clean(self._common)
        for name in self._paths:
            attributes[name] = path
        for name, before in self._urls:
            attributes[name] = before + path
        if client is not None:
            host, port = client
            for name in self._clients:
                attributes[name] = host
            for name in self._ports:
                attributes[name] = port
        return attributes


def _is_plain(client: Any) -> bool:
    if len(client) != 2:
        return False
    host, port = client
    return type(host) is str and host != "" and type(port) is int and port != 0


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    if len(known) >= _MOST:
        known.clear()
    known[key] = value
