"""
gRPC: the gate where a call begins, in both of its interfaces, inside all interceptors.

Where a channel leads is said by its target, and stays so; what a name of it resolves to does not count.
Source: https://github.com/grpc/grpc/blob/master/doc/naming.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from inspect import signature
from types import ModuleType
from typing import Any, Final
from urllib.parse import unquote

from otelctx.boundaries.patches import Patch, Patches
from otelctx.propagation.destination import Destination, known, known_url
from otelctx.propagation.gate import attempt, passage_to
from otelctx.propagation.passage import text_of

_KINDS: Final = ("UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream")
_METADATA: Final = 2  # after the request and the timeout
# https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md: what ends in -bin is binary, what begins so is gRPC's.
_KEY: Final = re.compile(r"(?!grpc-)[0-9a-z_.-]+(?<!-bin)")

_ONE_HOST: Final = ("dns", "ipv4", "ipv6")
_SOCKETS: Final = ("unix", "unix-abstract")
# Of a resolver that is none of these, nothing says where it leads.
_NAMES_ELSEWHERE: Final = ("xds", "google-c2p", "vsock", "passthrough")


def gates(channel: ModuleType) -> Patches:
    """Let the calls of module *channel*, ``grpc._channel``, stop at the gate."""
    names = [f"_{kind}MultiCallable" for kind in (*_KINDS, "SingleThreadedUnaryStream")]
    owners = [getattr(channel, name) for name in names if hasattr(channel, name)]
    return Patches(*(Patch(owner, name, _call) for owner in owners for name in ("__call__", "with_call", "future")))


def aio_gates(call: ModuleType) -> Patches:
    """Let the calls of module *call*, ``grpc.aio._call``, stop at the gate."""
    owners = [getattr(call, f"{kind}Call") for kind in _KINDS]
    return Patches(*(Patch(owner, "__init__", _begin) for owner in owners))


def _call(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > _METADATA:
            metadata = attempt(_at_gate, args[_METADATA], self._target, args[_METADATA])
            args = (*args[:_METADATA], metadata, *args[_METADATA + 1 :])
        else:
            given = kwargs.get("metadata")
            kwargs["metadata"] = attempt(_at_gate, given, self._target, given)
        return original(self, *args, **kwargs)

    return call


def _begin(original: Callable[..., None]) -> Callable[..., None]:
    names = list(signature(original).parameters)[1:]

    @wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - its name
        original(self, *attempt(_at_channel, args, names, args), **kwargs)

    return __init__


def _at_channel(names: Sequence[str], args: tuple[Any, ...]) -> tuple[Any, ...]:
    given = dict(zip(names, args, strict=False))
    given["metadata"] = _at_gate(given["channel"].target, given["metadata"])
    return tuple(given.values())


def _at_gate(target: Any, metadata: Any) -> Any:
    pairs = tuple(metadata or ())
    try:
        present: dict[Any, Any] = {pair[0]: pair[1] for pair in pairs}
    except (TypeError, IndexError):
        return pairs  # no metadata; gRPC says so
    passage = passage_to(destination_of(text_of(target)), present.get)
    if passage is None:
        return pairs or metadata
    kept = [pair for pair in pairs if pair[0] not in passage.dropped]
    written = [pair for pair in passage.written.items() if _KEY.fullmatch(pair[0])]
    return (*kept, *written) if pairs or written else metadata


@lru_cache(maxsize=256)
def destination_of(target: str) -> Destination | None:
    """
    Return where a channel to *target* leads, None where that is not one clear place.

    >>> str(destination_of("dns:///orders:50051")), str(destination_of("127.0.0.1:50051"))
    ('grpc://orders:50051', 'grpc://127.0.0.1:50051')
    """
    scheme, separator, rest = target.partition(":")
    scheme = scheme.lower()
    if not separator:
        return known("grpc", target)
    if scheme in _SOCKETS:
        return known("unix", rest.removeprefix("//"))
    if scheme in _ONE_HOST:
        # An authority in front is the name server that is asked.
        name = rest.partition("//")[2].partition("/")[2] if rest.startswith("//") else rest
        return known_url(f"grpc://{unquote(name)}")
    if scheme in _NAMES_ELSEWHERE or rest.startswith("//"):
        return None
    return known_url(f"grpc://{target}")
