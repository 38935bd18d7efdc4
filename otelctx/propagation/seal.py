"""
The seal: one baggage member by which a receiver knows that the others are as a service with the same key has sent them.

It is bound to the request id, which it covers like every member, and to a window of time. It says what the telemetry's
context was, and nothing of who may do what. Needs the extra ``seal``.
"""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from itsdangerous import BadSignature, TimestampSigner

from otelctx.core.reports import report
from otelctx.propagation.codec import MAX_BYTES, MAX_MEMBERS, decode, encode
from otelctx.propagation.sealing import SEAL, Broken, Reason, Sealed

# Of the form `HOP.KIND.BODY.TIME.SIGNATURE`. A body is a digest or a ciphertext.
_SIGNED: Final = "s"
_ENCRYPTED: Final = "e"
_NOT_IN_HOP: Final = re.compile("[^0-9A-Za-z_-]+")
_HOP: Final = re.compile("[0-9A-Za-z_-]{1,64}")

# The fixed parts of a Fernet token: version, time, IV and HMAC. https://github.com/fernet/spec/blob/master/Spec.md
_FERNET_BYTES: Final = 1 + 8 + 16 + 32
_BLOCK: Final = 16

# SHA-256 in base64, without the padding.
_DIGEST_LENGTH: Final = 43


class _Signer(TimestampSigner):
    """Signs by a clock that is given, with HMAC-SHA256."""

    def __init__(self, secrets: Sequence[bytes], clock: Callable[[], float]) -> None:
        # The newest comes last there.
        super().__init__(list(reversed(secrets)), salt="otelctx.seal", key_derivation="hmac", digest_method=sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        """Return now, in seconds of the epoch."""
        return int(self._clock())


class Sealer:
    """Makes seals, and judges them."""

    def __init__(
        self,
        secrets: Sequence[bytes],
        hop: str,
        *,
        encrypts: bool = False,
        max_age: int = 300,
        leeway: int = 30,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Seal as service *hop*.

        Args:
            secrets: keys; the first makes seals, all are accepted.
            encrypts: members leave encrypted, the request id also readable; seals of both kinds are accepted then.
            max_age: how old a seal may be, in seconds.
            leeway: by how much clocks may differ, in seconds.
            clock: returns seconds of the epoch.
        """
        self.hop = _NOT_IN_HOP.sub("-", hop)[:64] or "unknown"
        self._signer = _Signer(secrets, clock)
        self._fernet = _fernet(secrets) if encrypts else None
        self.max_age = max_age
        self.leeway = leeway
        # All but the body of a token has always the same length, with the comma in front of it.
        self._overhead = len(f",{SEAL}=") + len(self._signer.sign(f"{self.hop}.{_SIGNED}."))

    @property
    def encrypts(self) -> bool:
        """Whether members leave encrypted."""
        return self._fernet is not None

    def encode(
        self, members: Mapping[str, str], properties: Mapping[str, tuple[str, str]] | None, request_key: str
    ) -> tuple[str, Sequence[str]]:
        """
        Return *members* and their seal as one header, and the keys of those that did not fit beside the seal.

        What leaves without a request id is not bound to a request, and has no seal; what should be encrypted stays
        then. Both are counted and reported.

        Args:
            members, properties: what the codec's `encode` takes.
            request_key: the key of the request id, which stays readable when the others are encrypted.
        """
        members = {key: text for key, text in members.items() if key != SEAL}
        id_alone = {key: text for key, text in members.items() if key == request_key}
        beside = encode(id_alone)[0] if self.encrypts else ""
        header, left_out = encode(members, properties, room=self._room(len(beside)), places=MAX_MEMBERS - 1)
        if not id_alone or request_key in left_out:
            if members:
                done = "stayed" if self.encrypts else "left without a seal"
                report("seal.no_request_id", "Fields %s, since the request id does not go with them", done)
            return ("", tuple(members)) if self.encrypts else encode(members, properties)
        return f"{beside or header},{self._member(header)}", left_out

    def _room(self, visible: int) -> int:
        if self._fernet is None:
            return MAX_BYTES - self._overhead - _DIGEST_LENGTH
        octets = (MAX_BYTES - visible - self._overhead) // 4 * 3 - _FERNET_BYTES
        return octets // _BLOCK * _BLOCK - 1

    def _member(self, header: str) -> str:
        if self._fernet is None:
            # As the receiver will read it, whatever was done to it here.
            body = f"{_SIGNED}.{_digest(*decode([header]))}"
        else:
            body = f"{_ENCRYPTED}.{self._fernet.encrypt(header.encode()).decode()}"
        return f"{SEAL}={self._signer.sign(f'{self.hop}.{body}').decode()}"

    def opened(self, members: Mapping[str, str], properties: Mapping[str, str]) -> Sealed | Broken:
        """Return what the seal among received *members* covers, or what is wrong with it."""
        token = members.get(SEAL)
        if token is None:
            return Broken(Reason.MISSING)
        declared = token.partition(".")[0]
        hop = declared if _HOP.fullmatch(declared) else ""
        try:
            value, at = self._signer.unsign(token.encode(), return_timestamp=True)
        except BadSignature:
            return Broken(Reason.WRONG_KEY, hop)
        age = self._signer.get_timestamp() - int(at.timestamp())
        if not -self.leeway <= age <= self.max_age + self.leeway:
            return Broken(Reason.EXPIRED, hop, is_proven=True)
        kind, _, body = value.decode().removeprefix(f"{declared}.").partition(".")
        beside = {key: text for key, text in members.items() if key != SEAL}
        of_beside = {key: rest for key, rest in properties.items() if key != SEAL}
        if kind == _SIGNED:
            is_same = compare_digest(_digest(beside, of_beside), body)
            return Sealed(beside, of_beside, hop) if is_same else Broken(Reason.ALTERED, hop, is_proven=True)
        if kind != _ENCRYPTED or self._fernet is None:
            return Broken(Reason.UNKNOWN_FORM, hop, is_proven=True)
        inside, of_inside = decode([self._fernet.decrypt(body).decode()])
        is_same = beside.items() <= inside.items()
        return Sealed(inside, of_inside, hop) if is_same else Broken(Reason.ALTERED, hop, is_proven=True)


def _digest(members: Mapping[str, str], properties: Mapping[str, str]) -> str:
    # Sorted: whoever passes a header on may write it otherwise, as long as it says the same.
    text = json.dumps([sorted(members.items()), sorted(properties.items())], separators=(",", ":"))
    return urlsafe_b64encode(sha256(text.encode()).digest()).decode().rstrip("=")


def _fernet(secrets: Sequence[bytes]) -> MultiFernet:
    def fernet(secret: bytes) -> Fernet:
        key = HKDF(SHA256(), 32, salt=None, info=b"otelctx.seal.encryption").derive(secret)
        return Fernet(urlsafe_b64encode(key))

    return MultiFernet(map(fernet, secrets))
