"""
A short soak; the long one is `make soak`.
"""

from __future__ import annotations

import asyncio

from otelctx.setup import install
from tests.soak.soak import Soak


def test_no_value_is_lost_or_leaked_in_a_few_thousand_requests() -> None:
    install.install()
    try:
        tally = asyncio.run(Soak(3_000, seed=1).run())
    finally:
        install.uninstall()
    assert {} == tally.errors
    assert (0, 0) == (tally.lost, tally.leaked)
    assert tally.requests == 3_000
    assert tally.cancellations > 0
    assert tally.failures > 0
