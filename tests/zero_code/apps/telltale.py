"""The values that request number N has, which whoever knows N can work out, and which nothing else contains."""

from __future__ import annotations

from hashlib import sha256


def value(what: str, number: int) -> str:
    return sha256(f"{what} {number}".encode()).hexdigest()[:20]


def values(number: int) -> dict[str, str]:
    return {name: value(name, number) for name in ("request_id", "user_id", "tenant")}
