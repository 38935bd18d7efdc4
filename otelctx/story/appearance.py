"""
The appearance of a story: glyphs, and a colour for each service.

Colour only repeats what the text says, and without a Unicode encoding every glyph has an ASCII form of the same width.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

# No red and no yellow: those mean error and warning. No magenta: many terminals show it as a red.
_COLOURS = ("cyan", "green", "blue", "medium_purple1", "dark_cyan", "dodger_blue1", "sea_green3", "slate_blue1")


@dataclass(frozen=True)
class Glyphs:
    """The characters that a story is drawn with; guides are two cells wide, marks are one."""

    branch: str
    last_branch: str
    through: str
    gap: str
    bar: str
    arrow: str
    error: str
    ok: str
    more: str
    dot: str
    rule: str


UNICODE = Glyphs("├╴", "└╴", "│ ", "  ", "━", "→", "✗", "✓", "…", "·", "─")
ASCII = Glyphs("|-", "`-", "| ", "  ", "=", ">", "x", "+", "~", "-", "-")


def colour_services(services: Iterable[str]) -> dict[str, str]:
    """Return a colour for each of *services*: the one its name hashes to, or the next one that is still free."""
    colours: dict[str, str] = {}
    for service in services:
        place = zlib.crc32(service.encode("utf-8", "replace"))
        choices = [_COLOURS[(place + step) % len(_COLOURS)] for step in range(len(_COLOURS))]
        colours[service] = next((colour for colour in choices if colour not in colours.values()), choices[0])
    return colours
