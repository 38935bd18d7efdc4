"""What is too old goes; a clock that somebody sets makes nothing older, and nothing younger than it may be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otelctx.export.batches import Batch
from otelctx.export.clocks import WallClock
from otelctx.export.counters import COUNTERS
from otelctx.export.housekeeping import Housekeeper
from otelctx.export.protocol import SIGNALS
from otelctx.export.store import Store

HOUR, YEAR = 3600.0, 365 * 86_400.0
SetClock = Callable[[float], None]


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Set the wall clock by some seconds, as an administrator or NTP does; the steady clock goes on."""
    real, total = time.time, 0.0

    def set_by(seconds: float) -> None:
        nonlocal total
        total += seconds
        monkeypatch.setattr(time, "time", lambda: real() + total)

    return set_by


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "traces.sqlite3", max_bytes=1 << 30)
    yield store
    store.database.close()


def ages(store: Store) -> list[float]:
    return [round(time.time() - stored.created, -1) for stored in store.oldest(1 << 30, 1 << 30)]


class TestAge:
    def test_what_is_too_old_goes_and_is_counted_and_said_once(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        keeper = Housekeeper(SIGNALS["traces"], max_age_seconds=2 * HOUR)
        store.append(Batch(b"old", 7), time.time() - 3 * HOUR)
        store.append(Batch(b"young", 5), time.time() - HOUR)
        for _ in range(2):
            keeper.tidy(store)
        assert ages(store) == [HOUR]
        assert COUNTERS.value("dropped", "traces", "expired") == 7
        (said,) = caplog.messages
        assert said.startswith("7 spans are dropped; they waited for the collector for more than 7200 seconds")


class TestAClockThatIsSet:
    @pytest.mark.parametrize("by", [YEAR, -YEAR, HOUR, -HOUR])
    def test_changes_no_age(self, store: Store, set_clock: SetClock, by: float) -> None:
        keeper = Housekeeper(SIGNALS["traces"], max_age_seconds=2 * HOUR)
        store.append(Batch(b"x", 1), time.time() - HOUR)
        store.append(Batch(b"x", 1))
        set_clock(by)
        keeper.tidy(store)
        assert ages(store) == [HOUR, 0.0]
        assert COUNTERS.total("dropped", "traces") == 0

    def test_back_while_no_process_ran_leaves_nothing_from_the_future_which_would_stay_forever(
        self, store: Store, set_clock: SetClock
    ) -> None:
        store.append(Batch(b"x", 1))
        set_clock(-YEAR)
        keeper = Housekeeper(SIGNALS["traces"], max_age_seconds=2 * HOUR)
        keeper.tidy(store)
        assert ages(store) == [0.0]
        store.shift(-3 * HOUR, time.time())
        keeper.tidy(store)
        assert ages(store) == []

    def test_by_little_at_a_time_is_noticed_when_that_adds_up(self, set_clock: SetClock) -> None:
        clock = WallClock()
        set_clock(20.0)
        assert clock.was_set_by() == 0.0
        set_clock(20.0)
        assert round(clock.was_set_by()) == 40
        assert clock.was_set_by() == 0.0
