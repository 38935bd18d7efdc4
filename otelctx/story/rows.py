"""
Rows: the entries to show, in reading order, each with the guides that tie it to its parent.

Every span and log of the tree is in exactly one row: its own, or the count of what was left out beside its siblings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from otelctx.story.appearance import Glyphs
from otelctx.story.records import EventRecord, LogRecord, SpanRecord
from otelctx.story.tree import Entry, Tree


@dataclass
class Hidden:
    """A run of neighbouring entries that are not shown, with all that is below them."""

    spans: int = 0
    logs: int = 0
    events: int = 0

    def add(self, top: Entry) -> None:
        """Count *top* and everything below it."""
        waiting = [top]
        while waiting:
            entry = waiting.pop()
            self.spans += isinstance(entry.record, SpanRecord)
            self.logs += isinstance(entry.record, LogRecord)
            self.events += isinstance(entry.record, EventRecord)
            waiting.extend(entry.children)

    def __str__(self) -> str:
        """Return what is left out, as `3 more spans, 1 more log line`."""
        counts = ((self.spans, "span"), (self.logs, "log line"), (self.events, "event"))
        shown = [f"{number} more {noun}{'' if number == 1 else 's'}" for number, noun in counts if number]
        return ", ".join(shown) or "more"


@dataclass(frozen=True)
class Row:
    """One entry or run of hidden ones; *first* goes before its first line, *rest* before all others."""

    item: Entry | Hidden
    first: str
    rest: str


@dataclass(frozen=True)
class Guides:
    """Draws the guides, at most *width* cells of them: of what is deeper, only the innermost levels are drawn."""

    glyphs: Glyphs
    width: int

    def rows(self, tree: Tree, chosen: set[int], repeated: set[int]) -> Iterator[Row]:
        """
        Yield the rows of *tree*.

        Entries whose `id()` is not in *chosen* are counted only; those in *repeated*, which have nothing below them,
        get no row at all.
        """
        waiting = [(item, "", True, True) for item in reversed(_siblings(tree.roots, chosen, repeated))]
        while waiting:
            item, outer, is_last, is_root = waiting.pop()
            children = _siblings(item.children, chosen, repeated) if isinstance(item, Entry) else []
            inner = "" if is_root else self._deeper(outer, self.glyphs.gap if is_last else self.glyphs.through)
            branch = "" if is_root else self._branch(item, is_last=is_last)
            yield Row(item, outer + branch, inner + (self.glyphs.through if children else ""))
            last = len(children) - 1
            below = [(child, inner, place == last, False) for place, child in enumerate(children)]
            waiting.extend(reversed(below))

    def _branch(self, item: Entry | Hidden, *, is_last: bool) -> str:
        if is_last:
            return self.glyphs.last_branch
        is_span = isinstance(item, Entry) and not isinstance(item.record, LogRecord | EventRecord)
        return self.glyphs.branch if is_span else self.glyphs.through

    def _deeper(self, outer: str, level: str) -> str:
        if len(outer) + len(level) <= self.width:
            return outer + level
        return f"{self.glyphs.more} {(outer + level)[4:]}"


def _siblings(entries: list[Entry], chosen: set[int], repeated: set[int]) -> list[Entry | Hidden]:
    """Return *entries* without the repeated ones, and with each run of those that are not chosen as one."""
    items: list[Entry | Hidden] = []
    for entry in entries:
        if id(entry) in repeated:
            continue
        if id(entry) in chosen:
            items.append(entry)
            continue
        run = items[-1] if items and isinstance(items[-1], Hidden) else Hidden()
        if not items or items[-1] is not run:
            items.append(run)
        run.add(entry)
    return items
