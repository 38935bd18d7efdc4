"""
Run the soak: ``python -m tests.soak --requests 1000000``. It shows how far it is, and ends with what it found as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

from otelctx.setup import install
from tests.soak.soak import Soak, Tally, summary

# One byte kept of each request would be 1 KiB per 1,000; its smallest object is a hundred times that.
SLOPE_KIB_PER_1000 = 1.0


def main() -> int:
    """Return 0 if nothing was lost, leaked or kept."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--requests", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--minutes", type=float, default=float("inf"), help="begin no request after so long")
    options = arguments.parse_args()
    install.install()
    began = time.monotonic()

    def show(tally: Tally) -> None:
        rate = tally.requests / (time.monotonic() - began)
        print(
            f"{tally.requests:>9,} requests, {rate:,.0f}/s, lost {tally.lost}, leaked {tally.leaked}, "
            f"memory {tally.rss[-1][1] / 1024:.1f} MiB",
            file=sys.stderr,
        )

    def goes_on() -> bool:
        return time.monotonic() - began < options.minutes * 60

    tally = asyncio.run(Soak(options.requests, options.seed, show, goes_on).run())
    print(json.dumps(summary(tally, options.seed, began), indent=2))
    return int(bool(tally.lost or tally.leaked or tally.errors or tally.slope() > SLOPE_KIB_PER_1000))


if __name__ == "__main__":
    sys.exit(main())
