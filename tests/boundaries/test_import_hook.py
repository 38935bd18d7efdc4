"""The import hook: who waits for a module is told of its first import, and a module keeps nothing of it."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import wrapt
from wrapt.importer import ImportHookFinder  # type: ignore[import-untyped]

from otelctx.boundaries import import_hook
from otelctx.boundaries.import_hook import when_imported

Told = list[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def make(folder: Path, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Write a module of the code that is given, and return its name; nothing has imported it."""
    made: list[str] = []

    def make(code: str) -> str:
        name = f"hooked_{abs(hash(request.node.nodeid))}_{len(made)}"
        made.append(name)
        (folder / f"{name}.py").write_text(code)
        importlib.invalidate_caches()
        return name

    return make


def telling(told: Told, who: str = "") -> Callable[[ModuleType], AbstractContextManager[None]]:
    @contextmanager
    def around(module: ModuleType) -> Iterator[None]:
        told.append(f"{who}begins")
        try:
            yield
        except BaseException as error:
            told.append(f"{who}{type(error).__name__}")
            raise
        told.append(f"{who}ended with {getattr(module, 'value', None)}")

    return around


def test_who_waits_is_told_before_and_after_the_code_runs_and_once(make: Callable[[str], str]) -> None:
    told: Told = []
    name = make("value = 1")
    when_imported(name, telling(told))
    assert told == []
    module = importlib.import_module(name)
    importlib.import_module(name)
    importlib.reload(module)
    assert told == ["begins", "ended with 1"]


def test_a_module_that_is_imported_is_told_of_at_once(make: Callable[[str], str]) -> None:
    told: Told = []
    name = make("value = 1")
    importlib.import_module(name)
    when_imported(name, telling(told))
    assert told == ["begins", "ended with 1"]


def test_those_who_wait_are_done_in_the_order_in_which_they_came(make: Callable[[str], str]) -> None:
    told: Told = []
    name = make("value = 1")
    for who in ("first ", "second "):
        when_imported(name, telling(told, who))
    importlib.import_module(name)
    assert told[2:] == ["first ended with 1", "second ended with 1"]


def test_a_failed_import_is_told_and_the_next_one_is_the_first_again(make: Callable[[str], str], folder: Path) -> None:
    told: Told = []
    name = make("raise LookupError")
    when_imported(name, telling(told))
    with pytest.raises(LookupError):
        importlib.import_module(name)
    (folder / f"{name}.py").write_text("value = 2  # another length than before")
    importlib.invalidate_caches()
    importlib.import_module(name)
    assert told == ["begins", "LookupError", "begins", "ended with 2"]


def test_the_module_has_its_own_loader_also_while_its_code_runs(make: Callable[[str], str]) -> None:
    code = "loaders = [__loader__, __spec__.loader]"
    plain = importlib.import_module(make(code))
    name = make(code)
    when_imported(name, telling([]))
    told_of = importlib.import_module(name)
    for loader in (*told_of.loaders, told_of.__loader__, told_of.__spec__.loader if told_of.__spec__ else None):
        assert type(loader) is type(plain.__loader__)


def test_looking_for_a_module_imports_nothing_and_gives_what_its_loader_gives(make: Callable[[str], str]) -> None:
    told: Told = []
    name = make("value = 1")
    when_imported(name, telling(told))
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    assert spec.loader.get_source(name) == "value = 1"  # type: ignore[attr-defined]
    assert told == []
    assert name not in sys.modules


def test_who_comes_while_another_thread_runs_the_code_is_told_when_that_is_done(make: Callable[[str], str]) -> None:
    told: Told = []
    running, go_on = threading.Event(), threading.Event()
    name = make("import threading\nhook = threading.hooked\nhook()\nvalue = 1")

    def wait() -> None:
        running.set()
        assert go_on.wait(30)

    threading.hooked = wait  # type: ignore[attr-defined]
    try:
        when_imported(name, telling([]))
        thread = threading.Thread(target=importlib.import_module, args=(name,))
        thread.start()
        assert running.wait(30)
        when_imported(name, telling(told))
        assert told == []
        go_on.set()
        thread.join(30)
    finally:
        del threading.hooked  # type: ignore[attr-defined]
    assert told == ["begins", "ended with 1"]


def test_who_is_told_of_one_module_may_import_another_that_waits(make: Callable[[str], str]) -> None:
    told: Told = []
    inner, outer = make("value = 'inner'"), make("value = 'outer'")

    @contextmanager
    def around(module: ModuleType) -> Iterator[None]:
        yield
        importlib.import_module(inner)
        told.append(f"outer has {module.value}")

    when_imported(outer, around)
    when_imported(inner, telling(told))
    importlib.import_module(outer)
    assert told == ["begins", "ended with inner", "outer has outer"]


def test_a_copy_beside_the_module_is_not_told_of_and_its_import_is(make: Callable[[str], str]) -> None:
    told: Told = []
    name = make("value = 1")
    when_imported(name, telling(told))
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    copy_of_it = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copy_of_it)
    assert copy_of_it.value == 1
    assert told == []
    importlib.import_module(name)
    assert told == ["begins", "ended with 1"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda spec: pickle.loads(pickle.dumps(spec))])
def test_what_is_found_can_be_copied(
    make: Callable[[str], str], duplicate: Callable[[ModuleSpec | None], ModuleSpec]
) -> None:
    name = make("value = 1")
    when_imported(name, telling([]))
    spec = duplicate(importlib.util.find_spec(name))
    assert spec.loader is not None
    assert spec.loader.get_source(name) == "value = 1"  # type: ignore[attr-defined]


class Asking:
    """A tool that has put itself in the place of a finder."""

    def __init__(self, finder: Any) -> None:
        self.finder = finder

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        found: ModuleSpec | None = self.finder.find_spec(name, path, target)
        return found


@pytest.mark.parametrize("order", [1, -1], ids=["before wrapt's", "behind wrapt's"])
def test_beside_wrapt_s_hook_which_asks_all_finders_again_it_is_told_once(
    make: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    told: Told = []
    name = make("value = 1")
    when_imported(name, telling(told))
    wrapt.register_post_import_hook(lambda _: told.append("wrapt's"), name)
    both = [import_hook._FINDER, ImportHookFinder()][::order]
    others = [one for one in sys.meta_path if not isinstance(one, (type(import_hook._FINDER), ImportHookFinder))]
    monkeypatch.setattr(sys, "meta_path", [*both, *others])
    importlib.import_module(name)
    assert sorted(told) == ["begins", "ended with 1", "wrapt's"]


def test_an_import_goes_on_where_a_tool_stands_in_the_place_of_each_finder(
    make: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make("value = 1")
    when_imported(name, telling([]))
    monkeypatch.setattr(sys, "meta_path", [Asking(finder) for finder in sys.meta_path])
    assert importlib.import_module(name).value == 1


def test_so_it_does_where_the_hook_is_put_in_place_again_before_them(
    make: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Told = []
    name = make("value = 1")
    when_imported(name, telling([]))
    monkeypatch.setattr(sys, "meta_path", [Asking(finder) for finder in sys.meta_path])
    when_imported(name, telling(told))
    importlib.import_module(name)
    assert told == ["begins", "ended with 1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_is_forked_while_another_thread_has_the_lock_imports_all_the_same(
    make: Callable[[str], str],
) -> None:
    name = make("value = 1")
    when_imported(name, telling([]))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with import_hook._lock:
            held.set()
            assert release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(importlib.import_module(name).value)
    release.set()
    thread.join(30)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
