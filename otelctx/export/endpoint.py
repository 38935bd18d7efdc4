"""
Endpoints: where one signal is sent, and how, as the OTLP exporter's standard variables say.

Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/. Headers and keys are for the request only: neither
`repr` nor the spool shows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from opentelemetry.util.re import parse_env_headers

from otelctx.core.reports import report
from otelctx.export.protocol import SignalName

ProtocolName = Literal["http/protobuf", "grpc"]
CompressionName = Literal["none", "gzip", "deflate"]

_DEFAULT: Final[Mapping[ProtocolName, str]] = {
    "http/protobuf": "http://localhost:4318",
    "grpc": "http://localhost:4317",
}
_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Endpoint:
    """
    Where one signal goes.

    Attributes:
        url: for HTTP the whole address, with the path; for gRPC its scheme, host and port.
        protocol: how it is sent.
        headers: sent with each request; names in lower case.
        timeout: seconds for one request.
        compression: of the request; gRPC knows gzip only.
        certificate: a file of certificates to trust, in place of the system's.
        client_certificate: a file with the certificate to show.
        client_key: the file of its key.
    """

    url: str
    protocol: ProtocolName = "http/protobuf"
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeout: float = _SECONDS
    compression: CompressionName = "none"
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None

    @property
    def shown(self) -> str:
        """The address without a path, a user or a password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def key(self) -> str:
        """A name for the receiver, the same in each process; what is for one receiver never goes to another."""
        address = f"{self.protocol} {self.shown}{urlsplit(self.url).path}"
        return hashlib.sha256(address.encode()).hexdigest()[:12]


def endpoint_of(signal: SignalName, environ: Mapping[str, str]) -> Endpoint:
    """
    Return where *environ* says that *signal* goes. What is wrong in it is reported, and the default holds.

    >>> endpoint_of("traces", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}).url
    'http://collector:4318/v1/traces'
    """

    def says(name: str) -> str:
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}", "").strip()
        return own or environ.get(f"OTEL_EXPORTER_OTLP_{name}", "").strip()

    protocol: ProtocolName = "grpc" if says("PROTOCOL") == "grpc" else "http/protobuf"
    if says("PROTOCOL") not in {"", "grpc", "http/protobuf"}:
        _ignored("PROTOCOL", "http/protobuf or grpc")
    compression = says("COMPRESSION").lower() or "none"
    if compression not in {"none", "gzip"} | ({"deflate"} if protocol == "http/protobuf" else set[str]()):
        _ignored("COMPRESSION", "none or gzip")
        compression = "none"
    return Endpoint(
        url=_url(signal, protocol, environ, insecure=says("INSECURE").lower() == "true"),
        protocol=protocol,
        headers=parse_env_headers(says("HEADERS"), liberal=True),
        timeout=_seconds(says("TIMEOUT")),
        compression=compression,  # type: ignore[arg-type]  # checked above
        certificate=says("CERTIFICATE") or None,
        client_certificate=says("CLIENT_CERTIFICATE") or None,
        client_key=says("CLIENT_KEY") or None,
    )


def _url(signal: SignalName, protocol: ProtocolName, environ: Mapping[str, str], *, insecure: bool) -> str:
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "").strip()
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip() or _DEFAULT[protocol]
    if protocol == "http/protobuf":
        # "Endpoint URLs for OTLP/HTTP": that of a signal is used as it is, the base gets the signal's path.
        return own or f"{base.rstrip('/')}/v1/{signal}"
    address = own or base
    if "://" not in address:
        # A bare host and port: only then does INSECURE count.
        address = f"{'http' if insecure else 'https'}://{address}"
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _seconds(text: str) -> float:
    try:
        seconds = float(text or _SECONDS)
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        return seconds
    _ignored("TIMEOUT", "a number of seconds")
    return _SECONDS


def _ignored(name: str, expected: str) -> None:
    report(f"export.{name.lower()}", "OTEL_EXPORTER_OTLP_%s is ignored; expected %s", name, expected)
