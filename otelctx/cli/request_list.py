"""
The list of requests: two lines for each, which fit 80 columns.

The id stands whole on the first line, to be copied into `otelctx story`; nothing relies on colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from otelctx.story.appearance import ASCII, UNICODE, Glyphs
from otelctx.story.records import Attributes, as_list, as_nanoseconds, as_text
from otelctx.story.safe_text import clean_line
from otelctx.story.timing import format_date, format_duration

_ID = 38  # a UUID, or "trace " and its 32 digits


def render_requests(console: Console, summaries: Sequence[Attributes]) -> None:
    """Print *summaries* (docs/query-api.md, "Summary"), cut to the width of *console*."""
    glyphs = UNICODE if console.encoding.lower().startswith("utf") else ASCII
    for summary in summaries:
        for line in _lines(summary, glyphs, console.encoding):
            if line.cell_len > console.width:
                line.truncate(console.width - 1)
                line.append(glyphs.more)
            console.print(line, no_wrap=True, overflow="ignore", crop=False)


def _lines(summary: Attributes, glyphs: Glyphs, encoding: str) -> Iterator[Text]:
    def clean(value: object) -> str:
        return clean_line(as_text(value), encoding)

    start, end = (as_nanoseconds(summary.get(f"{name}_unix_nano")) for name in ("start", "end"))
    date, _, clock = (format_date(start) if start else "").removesuffix(" UTC").partition(" ")
    trace = next(iter(as_list(summary.get("trace_ids"))), None)
    name = clean(summary.get("request_id")) or f"trace {clean(trace)}"
    is_error = summary.get("error") is True
    outcome = (f"{glyphs.error} ERROR", "bold red") if is_error else (f"{glyphs.ok} ok   ", "green")
    yield Text.assemble(
        (f"{clock[:8]:<10}  ", "dim"), f"{name:<{_ID}}  ", outcome, f"  {clean(summary.get('name')) or '(no spans)'}"
    )
    facts = [
        clean(summary.get("user_id")) or "(no user)",
        format_duration(end - start if start is not None and end is not None else None),
        ", ".join(clean(service) for service in as_list(summary.get("services"))),
        f"{_count(summary.get('spans'), 'span')}, {_count(summary.get('logs'), 'log line')}",
    ]
    yield Text(f"{date:<10}  {f' {glyphs.dot} '.join(facts)}", style="dim")


def _count(value: object, noun: str) -> str:
    number = value if isinstance(value, int) else "?"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
