"""
Waits until a collector is healthy and accepts OTLP: python wait_for_collector.py HEALTH_URL TRACES_URL.

Healthy alone is not enough: a collector whose queue is full is healthy and refuses.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.2


def accepts(url: str, body: bytes | None = None) -> bool:
    """Tell whether *url* answers with status 200."""
    headers = {} if body is None else {"content-type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 -- the compose file names it
    try:
        with urllib.request.urlopen(request, timeout=2) as response:  # noqa: S310 -- the same
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main(health_url: str, traces_url: str) -> int:
    """Return the status of the process: 0 when the collector is ready."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (accepts(health_url) and accepts(traces_url, b'{"resourceSpans": []}')):
        if time.monotonic() > deadline:
            sys.stderr.write(f"no collector at {health_url} and {traces_url} after {PATIENCE_SECONDS:.0f} s\n")
            return 1
        time.sleep(POLL_SECONDS)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
