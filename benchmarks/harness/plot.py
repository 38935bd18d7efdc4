"""
The plot of the docs: for each target a bar as long as our ratio, on a logarithmic scale, and a mark where it is to end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from math import log10
from typing import Final

from benchmarks.harness.case import is_rate
from benchmarks.harness.page import Row
from benchmarks.harness.tables import short

WIDTH: Final = 860
_LEFT: Final = 430
_RIGHT: Final = 60
_LINE: Final = 26
_TOP: Final = 46
_LEAST, _MOST = 0.01, 10.0

_STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 10px; fill: #57606a }
  .met { fill: #2da44e }
  .not { fill: #bf8700 }
  .grid { stroke: #d0d7de }
  .target { stroke: #24292f; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .grid { stroke: #30363d }
    .target { stroke: #e6edf3 }
  }
"""


def plot(rows: Iterable[Row]) -> str:
    """Return the plot of *rows* as SVG; a rate is turned over, so that shorter is better in all of them."""
    shown = list(rows)
    height = _TOP + _LINE * len(shown) + 10
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>otelctx beside others</title>",
            f"<style>{_STYLE}</style>",
            f'<text class="small" x="{_LEFT - 8}" y="{_TOP - 14}" text-anchor="end">share of its cost; | target</text>',
            *_grid(height),
            *(line for number, row in enumerate(shown) for line in _bar(row, _TOP + _LINE * number)),
            "</svg>\n",
        )
    )


def _grid(height: int) -> Iterator[str]:
    for value in (0.01, 0.1, 1, 10):
        at = _at(value)
        yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 8}" y2="{height - 8}"/>'
        yield f'<text class="small" x="{at:.1f}" y="{_TOP - 14}" text-anchor="middle">{value:g}</text>'


def _bar(row: Row, top: int) -> Iterator[str]:
    ratio, target = row.ratio.median, row.target
    if is_rate(row.measure):
        ratio, target = 1 / max(ratio, 1e-9), 1 / target
    what = row.what if row.measure == "cpu" else f"{row.what}, {row.measure}"
    yield f'<text x="{_LEFT - 8}" y="{top + 10}" text-anchor="end">{escape(what)}</text>'
    yield f'<text class="small" x="{_LEFT - 8}" y="{top + 19}" text-anchor="end">{escape(row.against)}</text>'
    kind, start, end = "met" if row.met else "not", _at(_LEAST), _at(ratio)
    yield f'<rect class="{kind}" x="{start:.1f}" y="{top + 3}" width="{max(end - start, 1):.1f}" height="12"/>'
    yield f'<line class="target" x1="{_at(target):.1f}" x2="{_at(target):.1f}" y1="{top}" y2="{top + 18}"/>'
    yield f'<text class="small" x="{end + 5:.1f}" y="{top + 13}">{short(ratio)}</text>'


def _at(value: float) -> float:
    """Return where *value* is on the axis."""
    share = log10(min(max(value, _LEAST), _MOST) / _LEAST) / log10(_MOST / _LEAST)
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)
