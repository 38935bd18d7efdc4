"""
What must hold of the codec for any bytes: it agrees with a plain reading of the specification, and keeps its limits.

The fuzzer tries to break it; `test_corpus.py` replays what it has found worth keeping.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from otelctx.propagation.codec import DROPPED, MAX_BYTES, MAX_MEMBERS, decode, encode

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
OCTETS = frozenset(map(chr, {*range(0x21, 0x7F)} - set(b'",;\\')))


def check(data: bytes) -> None:
    """Raise AssertionError where the codec does with *data* what it must not."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    _check_decode(lines)
    _check_encode(dict(line.partition("=")[::2] for line in lines))


def _check_decode(headers: list[str]) -> None:
    members, properties = decode(headers)
    assert members == _read(headers)
    assert properties.keys() <= members.keys()
    assert all(rest.startswith(";") and rest.isascii() and "," not in rest for rest in properties.values())
    texts = {key: (members[key], rest) for key, rest in properties.items()}
    header, left_out = encode(members, texts)
    again = decode([header])
    if DROPPED not in again[0]:
        # Where not all fits, a text by the marker's key that is no marker is the first to go.
        members.pop(DROPPED, None)
        properties.pop(DROPPED, None)
    assert left_out or again == (members, properties)


def _check_encode(members: dict[str, str]) -> None:
    header, left_out = encode(members)
    assert len(header) <= MAX_BYTES
    parts = header.split(",") if header else []
    assert len(parts) <= MAX_MEMBERS
    assert all(TOKEN.fullmatch(part.partition("=")[0]) for part in parts)
    assert all(OCTETS.issuperset(part.partition("=")[2]) for part in parts)
    sendable = {key: _scrubbed(text) for key, text in members.items() if TOKEN.fullmatch(key)}
    received, _ = decode([header])
    assert set(left_out) <= sendable.keys()
    if received.get(DROPPED) != sendable.get(DROPPED):
        # Something was too much: the marker is ours now, or a text by its key that is no marker is gone.
        assert int(received.pop(DROPPED, "0")) >= len(left_out)
        sendable.pop(DROPPED, None)
    else:
        assert not left_out or DROPPED in received
    assert received == {key: text for key, text in sendable.items() if key not in left_out}


def _read(headers: list[str]) -> dict[str, str]:
    """Return the members of *headers*: the grammar of W3C Baggage, 3.3.1, written down once more and with no haste."""
    members: dict[str, str] = {}
    for member in _first_bytes(headers):
        key, equals, value = member.partition(";")[0].partition("=")
        key, value = key.strip(" \t"), value.strip(" \t")
        if not equals or not TOKEN.fullmatch(key) or not OCTETS.issuperset(value):
            continue
        if len(members) == MAX_MEMBERS and key not in members:
            break
        members[key] = unquote_to_bytes(value).decode("utf-8", "replace")
    return members


def _first_bytes(headers: list[str]) -> list[str]:
    joined = b",".join(header.encode("utf-8", "surrogatepass") for header in headers)
    if len(joined) > MAX_BYTES:
        joined = joined[: MAX_BYTES + 1].rpartition(b",")[0]
    return joined.decode("utf-8", "surrogatepass").split(",")


def _scrubbed(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
