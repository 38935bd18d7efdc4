"""
The cells of gevent's rows: run as a module, it prints by cell what it says if it fails, and nothing if it holds.
"""

# ruff: noqa: E402 - gevent patches before anything else is imported

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json
import traceback

from otelctx.setup import install
from tests.conformance import claims
from tests.conformance.rows_gevent import applying


def main() -> None:
    install.install()
    outcomes = {}
    for row, claim in applying():
        try:
            claims.check(row, claim)
            outcomes[f"{row.name}: {claim}"] = ""
        except BaseException:  # noqa: BLE001, PERF203 - every way to fail is a failed cell
            outcomes[f"{row.name}: {claim}"] = traceback.format_exc()
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
