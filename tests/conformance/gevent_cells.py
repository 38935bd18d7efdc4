"""
The cells of gevent's rows: run as a module, it prints by cell what each that fails says.
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
    failures = {}
    for row, claim in applying():
        try:
            claims.check(row, claim)
        except BaseException:  # noqa: BLE001, PERF203 - every way to fail is a failed cell
            failures[f"{row.name}: {claim}"] = traceback.format_exc()
    print(json.dumps(failures))


if __name__ == "__main__":
    main()
