"""
Sending over HTTP, with requests: one connection, kept alive, no redirects and no retries.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp. A redirect is not followed: headers with secrets are for the
configured endpoint only.
"""

from __future__ import annotations

import gzip
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import Final

import requests

from otelctx.export.endpoint import Endpoint
from otelctx.export.outcomes import Delivered, Outcome, Refused, Unavailable
from otelctx.export.protocol import Signal
from otelctx.export.refusals import is_refusal

_RETRYABLE: Final = frozenset({429, 502, 503, 504})
# Bad Request, Content Too Large, Unprocessable Content; 500 is what a crash over one item looks like.
_FOR_CONTENT: Final = frozenset({400, 413, 422, 500})
# The specification advises clients to read no more than 4 MiB of an answer; ours of interest are far smaller.
_ANSWER_BYTES: Final = 64 * 1024


class HttpSender:
    """Sends over HTTP."""

    def __init__(self, signal: Signal, endpoint: Endpoint) -> None:
        """Connect to nothing yet."""
        self._signal = signal
        self._endpoint = endpoint
        self._session = requests.Session()
        self._session.headers.update({"Content-Type": "application/x-protobuf", **endpoint.headers})
        if endpoint.compression != "none":
            self._session.headers["Content-Encoding"] = endpoint.compression
        self._verify: bool | str = endpoint.certificate or True
        self._cert = (
            (endpoint.client_certificate, endpoint.client_key)
            if endpoint.client_certificate and endpoint.client_key
            else endpoint.client_certificate
        )

    def send(self, payload: bytes) -> Outcome:
        """Send *payload* once."""
        try:
            with self._session.post(
                self._endpoint.url,
                data=self._compressed(payload),
                timeout=self._endpoint.timeout,
                verify=self._verify,
                cert=self._cert,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = response.raw.read(_ANSWER_BYTES, decode_content=True)
        except (requests.RequestException, OSError) as error:
            # OSError: a file of certificates is not there. It may be there later, as where they are renewed.
            return Unavailable(type(error).__name__, is_refused=is_refusal(error))
        except Exception as error:  # noqa: BLE001 - told by the drainer; urllib3 raises its own while a body is read
            return Unavailable(type(error).__name__)
        if response.ok and response.status_code < 300:
            return Delivered(self._signal.rejected(body))
        trouble = f"HTTP status {response.status_code}"
        if response.status_code in _RETRYABLE:
            return Unavailable(trouble, after=retry_after(response.headers.get("Retry-After", ""), time.time()))
        return Refused(trouble, for_content=response.status_code in _FOR_CONTENT)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _compressed(self, payload: bytes) -> bytes:
        if self._endpoint.compression == "gzip":
            return gzip.compress(payload, 6)
        return zlib.compress(payload) if self._endpoint.compression == "deflate" else payload


def retry_after(text: str, now: float) -> float | None:
    """
    Return how many seconds a ``Retry-After`` header asks for (RFC 9110, 10.2.3); None when it asks for nothing.

    >>> retry_after("120", 0.0), retry_after("Thu, 01 Jan 1970 00:00:30 GMT", 10.0), retry_after("soon", 0.0)
    (120.0, 20.0, None)
    """
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
