"""
The layout of a story: the widths of its columns for a terminal's width.

The columns of one line always fit the width, and nothing is narrower than it can be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len

OFFSET = 8
DURATION = 8
_NARROWEST = 50
_WIDE = 100


@dataclass(frozen=True)
class Layout:
    """The widths of the columns, in cells: offset and service, guides and text, bar and duration."""

    width: int
    service: int
    bar: int

    @classmethod
    def fit(cls, width: int, services: tuple[str, ...]) -> Layout:
        """Return the layout for a terminal of *width* cells: a wider one gives room to bars and names alike."""
        width = max(width, _NARROWEST)
        longest = max((cell_len(name) for name in services), default=0)
        service = max(4, min(longest, 16 if width >= _WIDE else 10))
        return cls(width, service, bar=max(6, min(60, 14 + (width - 80) * 2 // 5)))

    @property
    def gutter(self) -> int:
        """The width of offset and service, with the space after them."""
        return OFFSET + 1 + self.service + 2

    @property
    def text(self) -> int:
        """The width of guides and text where no bar follows."""
        return max(8, self.width - self.gutter)

    @property
    def title(self) -> int:
        """The width of guides and text before a bar."""
        return max(8, self.text - self.bar - DURATION - 2)
