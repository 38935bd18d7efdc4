"""
The selection of lines to show of a long story.

A line is never chosen without its parent; errors come first, then what is shallow and early.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from otelctx.story.tree import Entry, Tree

_SIBLINGS_AS_NEAR_AS_A_CHILD = 8


def choose_entries(tree: Tree, budget: int, is_important: Callable[[Entry], bool]) -> set[int]:
    """
    Return the `id()` of at most *budget* entries of *tree*.

    An entry's distance grows with its depth and with its place among its siblings, so neither a very long nor a very
    deep branch takes everything. Entries that *is_important* says True of come before all others, with their ancestors.
    """
    distances = _distances(tree)
    important: set[int] = set()
    for entry in tree.walk():
        above: Entry | None = entry if is_important(entry) else None
        while above is not None and id(above) not in important:
            important.add(id(above))
            above = above.parent
    order = ((id(entry) not in important, distances[id(entry)], position) for position, entry in enumerate(tree.walk()))
    chosen = {position for *_, position in heapq.nsmallest(budget, order)}
    return {id(entry) for position, entry in enumerate(tree.walk()) if position in chosen}


def _distances(tree: Tree) -> dict[int, int]:
    distances = {id(entry): place // _SIBLINGS_AS_NEAR_AS_A_CHILD for place, entry in enumerate(tree.roots)}
    for entry in tree.walk():
        for place, child in enumerate(entry.children):
            distances[id(child)] = distances[id(entry)] + 1 + place // _SIBLINGS_AS_NEAR_AS_A_CHILD
    return distances
