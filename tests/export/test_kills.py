"""A kill loses nothing that was acknowledged; ``make kills`` does this 200 times."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from tests.export.kills import BATCHES, WORKERS, kill


@pytest.mark.parametrize("write_through", [False, True])
def test_fifteen_random_kills_of_a_loaded_service_lose_nothing_that_was_acknowledged(
    tmp_path: Path, write_through: bool
) -> None:
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads, which is what a server that forks its workers does.
        warnings.simplefilter("ignore", DeprecationWarning)
        report = kill(15, tmp_path, random.Random(17), write_through=write_through)
    assert report.kills == 15 + WORKERS
    assert report.acknowledged > 100
    assert report.acknowledged_and_lost == 0
    # What a kill may lose is what had not made a batch yet; written through, the span that was just ending.
    in_memory = 2 if write_through else BATCHES.queue_size + 2 * BATCHES.batch_size
    assert report.unacknowledged_and_lost <= report.kills * in_memory
