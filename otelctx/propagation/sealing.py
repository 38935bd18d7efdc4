"""
Sealing: the seal that is in force, if one is, put on what leaves and taken off what comes in.

Without one nothing of it is loaded, and baggage is written and believed as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from otelctx.core.fields import REQUEST_ID, Field
from otelctx.core.registry import registry
from otelctx.core.reports import report
from otelctx.propagation import codec

if TYPE_CHECKING:
    from otelctx.propagation.seal import Sealer

SEAL: Final = "otelctx-seal"


class Reason(Enum):
    """Why fields are not believed."""

    MISSING = "missing"
    EXPIRED = "expired"
    WRONG_KEY = "wrong key"
    ALTERED = "altered field"
    UNKNOWN_FORM = "unknown form"


@dataclass(frozen=True)
class Broken:
    """
    What is wrong with a seal.

    Attributes:
        reason: why.
        hop: the service that it says to be of; empty when it says none.
        is_proven: the seal itself is genuine, so the name is too.
    """

    reason: Reason
    hop: str = ""
    is_proven: bool = False


@dataclass(frozen=True)
class Sealed:
    """What a valid seal covers: baggage members and their properties, and the service that has sealed them."""

    members: dict[str, str]
    properties: dict[str, str]
    hop: str


_lock = Lock()
_active: Sealer | None = None


def sealer() -> Sealer | None:
    """Return what seals, or None."""
    return _active


def replace(new: Sealer | None) -> Sealer | None:
    """Put *new* in force and return what was; for set-up and tests."""
    global _active
    with _lock:
        old, _active = _active, new
    return old


def is_encrypting() -> bool:
    """Tell whether what leaves is encrypted."""
    return _active is not None and _active.encrypts


def hides(key: str) -> bool:
    """Tell whether the member *key* leaves only encrypted: all do but the request id."""
    return _active is not None and _active.encrypts and key != _request_id().baggage_key


def encode(members: Mapping[str, str], properties: Mapping[str, tuple[str, str]] | None) -> tuple[str, Sequence[str]]:
    """Return what the codec's `encode` does, with a seal where one is in force."""
    if _active is None:
        return codec.encode(members, properties)
    return _active.encode(members, properties, _request_id().baggage_key)


class Incoming(NamedTuple):
    """
    What came in.

    Attributes:
        members, properties: of baggage, by key.
        headers: of fields, by name.
    """

    members: Mapping[str, str]
    properties: Mapping[str, str]
    headers: Mapping[str, Sequence[str]]


def opened(came: Incoming, *, required: bool) -> tuple[Incoming, tuple[str, str] | None]:
    """
    Return what is believed of what *came*, and why that is not all: the reason and the service that the seal names.

    With a broken seal, or none where it is *required*, the request id alone is believed, as of a stranger, and that is
    counted and reported. The header of a field has to say what is sealed.
    """
    if _active is None or not (required or SEAL in came.members):
        return came, None
    request_id = _request_id()
    of_stranger = Incoming(
        {key: text for key, text in came.members.items() if key == request_id.baggage_key},
        {},
        {name: texts for name, texts in came.headers.items() if name == request_id.header},
    )
    if of_stranger == came:
        return came, None  # there is nothing to believe
    found = _active.opened(came.members, came.properties)
    if isinstance(found, Sealed) and _agree(came.headers, found.members):
        return Incoming(found.members, found.properties, came.headers), None
    broken = Broken(Reason.ALTERED, found.hop, is_proven=True) if isinstance(found, Sealed) else found
    # A name that nobody has vouched for is not quoted in a log.
    hop = f" of service {broken.hop!r}" if broken.is_proven else ""
    kind, why = f"seal.{broken.reason.name.lower()}", broken.reason.value
    report(kind, "Fields of a peer were refused, because of their seal%s: %s", hop, why)
    return of_stranger, (why, broken.hop or "unknown")


def _agree(headers: Mapping[str, Sequence[str]], members: Mapping[str, str]) -> bool:
    fields = registry().headers
    return all(
        members.get(fields[name].baggage_key) == values[0].strip(" \t")
        for name, values in headers.items()
        if len(values) == 1
    )


def _request_id() -> Field:
    return registry().by_name.get(REQUEST_ID.name, REQUEST_ID)
