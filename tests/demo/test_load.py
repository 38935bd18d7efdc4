"""The steady load: its rate, what it counts, and that it gives up on nothing."""

from __future__ import annotations

import asyncio
from collections import Counter

from otelctx.demo.load import load
from otelctx.demo.stack import demo_stack

NOWHERE = "http://127.0.0.1:1"


def test_every_visit_ends_as_expected() -> None:
    with demo_stack(launcher="plain", collector_url=NOWHERE) as stack:
        ends = asyncio.run(load(stack.gateway_url, rate=20, seconds=1))
    assert ends == Counter({"as expected": 21})


def test_a_shop_that_is_closed_is_counted_and_not_a_crash() -> None:
    assert asyncio.run(load(NOWHERE, rate=100, seconds=0.1)) == Counter({"ConnectError": 11})
