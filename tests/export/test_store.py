"""What the store keeps, in which order, within which bounds, and through which accidents."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from otelctx.export.batches import Batch
from otelctx.export.database import StoreError
from otelctx.export.schema import VERSION
from otelctx.export.store import Store

NO_LIMIT = 1 << 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.sqlite3"


StoreAt = Callable[..., Store]


@pytest.fixture
def store_at() -> Iterator[StoreAt]:
    """Make stores that are closed after the test."""
    made: list[Store] = []

    def make(path: Path | None, max_bytes: int = NO_LIMIT) -> Store:
        made.append(Store(path, max_bytes=max_bytes))
        return made[-1]

    yield make
    for store in made:
        store.database.close()


def waiting(store: Store) -> list[bytes]:
    return [stored.batch.payload for stored in store.oldest(NO_LIMIT, NO_LIMIT)]


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, path: Path, store_at: StoreAt) -> Store:
    return store_at(path if request.param == "disk" else None)


class TestOrder:
    def test_the_oldest_come_first_and_what_is_removed_is_gone(self, store: Store) -> None:
        for number in range(5):
            store.append(Batch(b"%d" % number, 1))
        first, second = store.oldest(2, NO_LIMIT)
        store.remove(first.id, second.id)
        assert waiting(store) == [b"2", b"3", b"4"]
        assert (store.first(), store.last(), store.size()) == (first.id + 2, first.id + 4, 3)

    def test_not_more_items_or_bytes_are_given_than_asked_for_but_one_batch_always(self, store: Store) -> None:
        for _ in range(4):
            store.append(Batch(b"x" * 10, 100))
        assert [len(store.oldest(*limits)) for limits in [(1, 1), (250, 1000), (1000, 25), (1000, 1000)]] == [
            1,
            2,
            2,
            4,
        ]

    def test_an_id_is_never_used_twice(self, store: Store) -> None:
        store.append(Batch(b"a", 1))
        (first,) = store.oldest(9, 9)
        store.remove(first.id, first.id)
        store.append(Batch(b"b", 1))
        assert [stored.id for stored in store.oldest(9, 9)] == [first.id + 1]


class TestBounds:
    @pytest.mark.parametrize("is_on_disk", [True, False])
    def test_the_oldest_make_room_and_are_counted_by_item(
        self, path: Path, is_on_disk: bool, store_at: StoreAt
    ) -> None:
        store = store_at(path if is_on_disk else None, max_bytes=30)
        dropped = [store.append(Batch(b"%d" % number * 10, 7)) for number in range(5)]
        assert dropped == [0, 0, 0, 7, 7]
        assert waiting(store) == [b"2" * 10, b"3" * 10, b"4" * 10]
        assert store.size() == 30

    def test_what_is_too_old_goes(self, store: Store) -> None:
        for created in (100.0, 200.0, 300.0):
            store.append(Batch(b"x", 10), created)
        assert (store.expire(250.0), store.expire(250.0)) == (20, 0)
        assert [stored.created for stored in store.oldest(99, 99)] == [300.0]

    def test_a_clock_that_was_set_makes_nothing_older_and_nothing_from_the_future(self, store: Store) -> None:
        store.append(Batch(b"x", 1), 100.0)
        store.append(Batch(b"x", 1), 5000.0)
        store.shift(3600.0, 3800.0)
        assert [stored.created for stored in store.oldest(9, 9)] == [3700.0, 3800.0]

    def test_the_disk_gets_its_room_back(self, path: Path, store_at: StoreAt) -> None:
        store = store_at(path)
        for _ in range(20):
            store.append(Batch(os.urandom(1 << 20), 1))
        store.remove(0, store.last())
        store.shrink()
        store.database.close()
        assert path.stat().st_size < 1 << 20

    def test_what_is_removed_is_not_written_once_more(self, path: Path, store_at: StoreAt) -> None:
        store = store_at(path)
        store.append(Batch(os.urandom(1 << 20), 1))
        store.database.run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close())
        store.remove(0, store.last())
        assert path.with_name(f"{path.name}-wal").stat().st_size < 1 << 18


class TestSharing:
    def test_processes_write_to_one_store_at_once_and_nothing_is_lost(self, path: Path, store_at: StoreAt) -> None:
        script = (
            "import sys; from pathlib import Path; from otelctx.export.store import Store\n"
            "from otelctx.export.batches import Batch\n"
            "store = Store(Path(sys.argv[1]), max_bytes=1 << 40)\n"
            "for number in range(200): store.append(Batch(f'{sys.argv[2]}-{number}'.encode(), 1))\n"
        )
        writers = [subprocess.Popen([sys.executable, "-c", script, str(path), str(name)]) for name in range(4)]
        assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
        store = store_at(path)
        assert sorted(waiting(store)) == sorted(b"%d-%d" % (name, number) for name in range(4) for number in range(200))

    def test_that_the_collector_fails_is_known_to_all(self, path: Path, store_at: StoreAt) -> None:
        one, other = store_at(path), store_at(path)
        one.set_failing(True)
        assert other.is_failing()
        other.set_failing(False)
        assert not one.is_failing()

    def test_a_thread_that_is_not_to_wait_does_not(self, path: Path, store_at: StoreAt) -> None:
        store = store_at(path)
        inner = store.database.run(lambda _: store.append_at_once(Batch(b"x", 1)))
        assert (inner, store.append_at_once(Batch(b"x", 1))) == (None, 0)


class TestPrivacy:
    def test_all_files_are_for_this_user_only_whatever_the_umask(self, path: Path, store_at: StoreAt) -> None:
        before = os.umask(0)
        try:
            store_at(path).append(Batch(b"x", 1))
        finally:
            os.umask(before)
        files = [*path.parent.glob("traces*")]
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


class TestDamage:
    @pytest.fixture
    def filled(self, path: Path, store_at: StoreAt) -> Path:
        store = store_at(path)
        for number in range(50):
            store.append(Batch(b"%d" % number * 500, 1))
        store.database.close()
        return path

    def overwrite_everything(self, path: Path) -> None:
        path.write_bytes(b"garbage " * 5000)

    def overwrite_the_middle(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[4096:-4096] = b"\xff" * (len(content) - 8192)
        path.write_bytes(bytes(content))

    def cut_off(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[:9000])

    @pytest.mark.parametrize("damage", [overwrite_everything, overwrite_the_middle, cut_off])
    def test_a_damaged_file_is_put_aside_and_the_store_goes_on(
        self,
        filled: Path,
        caplog: pytest.LogCaptureFixture,
        damage: Callable[[TestDamage, Path], None],
        store_at: StoreAt,
    ) -> None:
        damage(self, filled)
        store = store_at(filled)
        store.append(Batch(b"new", 1))
        assert waiting(store)[-1] == b"new"
        store.remove(0, store.last())
        store.append(Batch(b"newer", 1))
        assert waiting(store) == [b"newer"]
        assert filled.with_name("traces.sqlite3.damaged").exists()
        assert [message for message in caplog.messages if "was damaged" in message]

    def test_processes_that_find_the_damage_at_once_agree_on_the_new_file(
        self, filled: Path, store_at: StoreAt
    ) -> None:
        one, other = store_at(filled), store_at(filled)
        assert one.first() == other.first() is not None
        self.overwrite_everything(filled)
        filled.with_name("traces.sqlite3-wal").unlink()
        for number in range(10):
            one.append(Batch(b"one %d" % number, 1))
            other.append(Batch(b"other %d" % number, 1))
        assert waiting(one) == waiting(other)
        assert len(waiting(one)) == 20

    def test_what_was_sent_from_a_damaged_file_takes_nothing_from_the_new_one(
        self, filled: Path, store_at: StoreAt
    ) -> None:
        one, other = store_at(filled), store_at(filled)
        sent = one.oldest(NO_LIMIT, NO_LIMIT)
        self.overwrite_everything(filled)
        filled.with_name("traces.sqlite3-wal").unlink()
        for number in range(60):
            other.append(Batch(b"new %d" % number, 1))
        one.remove(sent[0].id, sent[-1].id)
        assert len(waiting(one)) == 60

    def test_a_file_that_somebody_deletes_is_made_anew(self, filled: Path, store_at: StoreAt) -> None:
        store = store_at(filled)
        assert store.first() is not None
        for file in filled.parent.glob("traces*"):
            file.unlink()
        store.append(Batch(b"new", 1))
        assert waiting(store_at(filled)) == [b"new"]

    def test_a_file_of_a_newer_version_is_not_used_and_keeps_what_is_in_it(
        self, filled: Path, store_at: StoreAt
    ) -> None:
        with closing(sqlite3.connect(filled)) as connection:
            connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        for _ in range(2):
            with pytest.raises(StoreError, match="another version"):
                store_at(filled).append(Batch(b"new", 1))
        with closing(sqlite3.connect(filled)) as connection:
            connection.execute(f"PRAGMA user_version = {VERSION}")
        assert len(waiting(store_at(filled))) == 50


class TestDiskFull:
    SCRIPT = """
import resource, signal, sys
from pathlib import Path
from otelctx.export.batches import Batch
from otelctx.export.database import StoreError
from otelctx.export.store import Store
store = Store(Path(sys.argv[1]), max_bytes=1 << 40)
store.append(Batch(b"before", 1))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
stored = 0
try:
    for stored in range(100):
        store.append(Batch(b"x" * 50_000, 1))
except StoreError as error:
    print(stored, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.append(Batch(b"after", 1))
print(len(store.oldest(1 << 40, 1 << 40)))
"""

    def test_is_an_error_of_the_store_and_what_was_acknowledged_stays(self, path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self.SCRIPT, str(path)], capture_output=True, text=True, timeout=60, check=True
        )
        failed, kept = done.stdout.splitlines()
        stored = int(failed.split()[0])
        assert 0 < stored < 20
        assert int(kept) == stored + 2

    def test_a_directory_that_is_not_there_is_one_too(self, tmp_path: Path, store_at: StoreAt) -> None:
        with pytest.raises(StoreError):
            store_at(tmp_path / "nowhere" / "x.sqlite3").append(Batch(b"x", 1))
