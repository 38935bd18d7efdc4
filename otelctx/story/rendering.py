"""
The rendering of a story for a terminal: summary, waterfall, notes.

It depends on the console alone: its width, its encoding and whether it may colour.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from io import StringIO

from rich.console import Console
from rich.text import Text

from otelctx.story.appearance import ASCII, UNICODE, colour_services
from otelctx.story.assembly import Story
from otelctx.story.layout import Layout
from otelctx.story.lines import Words
from otelctx.story.summary import Summary
from otelctx.story.waterfall import Waterfall

_BUDGET = 200  # entries; about five screens


def render_story(console: Console, story: Story, *, everything: bool = False) -> None:
    """
    Print *story* on *console*.

    Long messages are cut and of a long story only some 200 lines are shown, unless *everything* is asked for.
    """
    for line in _lines(console, story, everything=everything):
        line.rstrip()
        console.print(line, no_wrap=True, overflow="ignore", crop=False)


def render_svg(story: Story, *, width: int = 100, everything: bool = False) -> str:
    """Return the picture of a terminal of *width* cells that shows *story*, as SVG."""
    console = Console(
        file=StringIO(),
        record=True,
        width=width,
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
        legacy_windows=False,
    )
    render_story(console, story, everything=everything)
    return console.export_svg(title="otelctx story", unique_id="otelctx-story")


def _lines(console: Console, story: Story, *, everything: bool) -> Iterator[Text]:
    encoding = _known_encoding(console.encoding)
    glyphs = UNICODE if encoding.startswith("utf") else ASCII
    words = Words(glyphs, encoding, everything=everything)
    colours = colour_services(story.services)
    layout = Layout.fit(console.width, story.services)
    summary = Summary(story, layout.width, words, colours, console)
    size = sum(1 for _ in story.tree.walk())
    yield from summary.header()
    yield Text()
    yield from summary.fields()
    yield Text()
    yield from Waterfall(story, layout, words, colours, console, budget=size if everything else _BUDGET).lines()
    if any(True for _ in summary.notes()):
        yield Text()
        yield from summary.notes()
    if not everything and size > _BUDGET:
        yield Text(f"\n{size - _BUDGET} of {size} lines are left out; --all shows them.", style="dim")


def _known_encoding(name: str) -> str:
    """Return the codec's own name for the encoding *name*; ASCII for one that Python does not know."""
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "ascii"
