"""
Redaction: what a sink shows in the place of a value that it is not to have.

The process itself has the clear value. A value that is to be hashed and cannot be, for want of a key, is masked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, get_args

from otelctx.core.reports import report

Action: TypeAlias = Literal["drop", "mask", "hash"]
Sink: TypeAlias = Literal["logs", "spans", "metrics", "wire"]
Redact: TypeAlias = Action | Mapping[Sink, Action]

# By field name, the value that was hashed last and its hash. It belongs to who holds the value anyway.
Memo: TypeAlias = dict[str, tuple[object, str]]
Alteration: TypeAlias = Callable[[object, Memo], str]

ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
SINKS: Final[tuple[Sink, ...]] = get_args(Sink)

# The same for every value: neither its length nor its first characters are told.
MASK: Final = "***"

# 128 bits, half of SHA-256's output, is the least that RFC 2104, section 5, lets a MAC be cut to.
_DIGITS: Final = 32
_ID_DIGITS: Final = 8
_HASHED: Final = re.compile(rf"hmac:([0-9a-f]{{{_ID_DIGITS}}}):[0-9a-f]{{{_DIGITS}}}")
HASH_LENGTH: Final = len("hmac::") + _ID_DIGITS + _DIGITS


@dataclass(frozen=True)
class View:
    """
    What one sink shows of fields, by whatever it calls them.

    Attributes:
        hidden: those that do not show.
        altered: what turns the value of a field into what is shown for it.
        names: the attributes that show them, those of another name.
        only: all that may show; None where what no declaration names shows too.
    """

    hidden: frozenset[str] = frozenset()
    altered: Mapping[str, Alteration] = field(default_factory=dict[str, Alteration])
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    only: frozenset[str] | None = None

    def redact(self, values: dict[str, Any], memo: Memo | None = None) -> None:
        """
        Alter and take away from *values* what the sink is not to have; what is None stays so.

        Args:
            memo: of the request that has the values.
        """
        for name in self.hidden if self.only is None else values.keys() - self.only | self.hidden:
            values.pop(name, None)
        for name, alter in self.altered.items():
            value = values.get(name)
            if value is not None:
                values[name] = alter(value, {} if memo is None else memo)


class HashKey:
    """
    A secret that hashes are made with.

    Attributes:
        id: names the key in every hash made with it, and tells nothing of the secret.
    """

    __slots__ = ("_mac", "id")

    def __init__(self, secret: bytes) -> None:
        """Prepare HMAC-SHA256 (RFC 2104) with *secret*."""
        import hmac  # noqa: PLC0415 - most programs hash nothing

        self._mac = hmac.new(secret, digestmod="sha256")
        # No field has an empty name.
        self.id = self._digits("", "key id")[:_ID_DIGITS]

    def hash(self, name: str, text: str) -> str:
        """
        Return the hash of *text* as a value of field *name*; under another name the same text has another hash.

        >>> HashKey(b"0123456789abcdef0123456789abcdef").hash("user_id", "alice")
        'hmac:b6452760:896c932a56b978d88ddf6e991fa19b73'
        """
        return f"hmac:{self.id}:{self._digits(name, text)}"

    def _digits(self, name: str, text: str) -> str:
        mac = self._mac.copy()
        mac.update(f"{name}\0{text}".encode(errors="surrogatepass"))
        return mac.hexdigest()[:_DIGITS]


_keys: tuple[HashKey, ...] = ()
_ids: frozenset[str] = frozenset()


def use_keys(secrets: Iterable[bytes]) -> None:
    """Make hashes with the first of *secrets* from now on, and know those that were made with any of them."""
    global _keys, _ids  # noqa: PLW0603 - each one reference, replaced as a whole
    _keys = tuple(map(HashKey, secrets))
    _ids = frozenset(key.id for key in _keys)


def keys() -> tuple[HashKey, ...]:
    """Return the keys; the first makes hashes."""
    return _keys


def actions(redact: object) -> dict[Sink, Action]:
    """
    Return what *redact*, one action or a mapping of them by sink, does to each sink that it says something of.

    Raises:
        ValueError: with what was expected.
    """
    if redact is None:
        return {}
    given: dict[Any, Any] = dict(redact) if isinstance(redact, Mapping) else dict.fromkeys(SINKS, redact)
    if all(sink in SINKS for sink in given) and all(action in ACTIONS for action in given.values()):
        return given
    raise ValueError(f"redact must be {_or(ACTIONS)}, or a mapping of {_or(SINKS)} to one of these")


def alteration(action: Action, name: str, text_of: Callable[[object], str]) -> Alteration:
    """Return what does *action* to values of field *name*, whose texts on the wire *text_of* gives."""
    if action == "mask":
        return lambda _value, _memo: MASK

    def hashed(value: object, memo: Memo) -> str:
        last = memo.get(name)
        if last is not None and last[0] is value:
            return last[1]
        text = text_of(value)
        # What another service has hashed already stays: it is the same hash.
        before = _HASHED.fullmatch(text) if text.startswith("hmac:") else None
        if before is None or before[1] not in _ids:
            if not _keys:
                report("redaction.no_key", "Field %r is masked: it is to be hashed, and no key is configured", name)
                return MASK
            text = _keys[0].hash(name, text)
        memo[name] = (value, text)
        return text

    return hashed


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
