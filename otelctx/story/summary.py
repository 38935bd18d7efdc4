"""
The summary of a story: its header, its fields with their origins, and the notes.

Every fact is written out; colour repeats it only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from otelctx.story.assembly import Story
from otelctx.story.lines import Words, status_code
from otelctx.story.origins import Origin
from otelctx.story.safe_text import show_value
from otelctx.story.timing import format_date, format_duration, format_offset

_LABEL = 10
_MAX_CHANGES = 6  # of one field, unless everything is asked for
_MAX_NOTES = 8


@dataclass(frozen=True)
class Summary:
    """Words what stands above and below the waterfall, for a terminal of *width* cells."""

    story: Story
    width: int
    words: Words
    colours: dict[str, str]
    console: Console

    def header(self) -> Iterator[Text]:
        """Yield what the request was, how it ended, whose it was, when, how long and where."""
        glyphs = self.words.glyphs
        yield from self._hanging(Text(), self._title())
        yield from self._fact("request", Text(self.words.line(self.story.request_id or "(without a request id)")))
        yield from self._fact("user", Text(self.words.line(self.story.user_id or "(unknown)")))
        counts = [_count(self.story.spans, "span"), _count(self.story.logs, "log line")]
        started = format_date(self.story.start) if self.story.start else "(unknown)"
        yield from self._fact("started", Text(f"{started} {glyphs.dot} {', '.join(counts)}"))
        for number, trace_id in enumerate(self.story.trace_ids[: None if self.words.everything else 3]):
            yield from self._fact("trace" if number == 0 else "", Text(self.words.line(trace_id)))
        services = Text(f" {glyphs.arrow} ").join(
            Text(self.words.line(name), style=self.colours[name]) for name in self.story.services
        )
        yield from self._fact("services", services)

    def fields(self) -> Iterator[Text]:
        """Yield one line for each value of each field: name, value and where it came from."""
        if not self.story.origins:
            return
        names = [cell_len(self.words.line(origin.field)) for origin in self.story.origins]
        values = [cell_len(self._value(origin)) for origin in self.story.origins]
        name_width = min(max(names), 20)
        value_width = min(max(values), max(16, (self.width - 80) // 2 + 16))
        yield Text("Fields", style="bold")
        for _, group in groupby(self.story.origins, key=lambda origin: origin.field):
            changes = list(group)
            shown = changes if self.words.everything else changes[:_MAX_CHANGES]
            for number, origin in enumerate(shown):
                name = self._cell(self.words.line(origin.field) if number == 0 else "", name_width)
                value = self._cell(self._value(origin), value_width)
                line = Text.assemble("  ", (name, "bold"), "  ", value, "  ")
                yield from self._hanging(line, self._came_from(origin))
            if len(shown) < len(changes):
                more = f"{self.words.glyphs.more} {len(changes) - len(shown)} more changes"
                yield Text(f"  {' ' * name_width}  {more}", style="dim")

    def notes(self) -> Iterator[Text]:
        """Yield what is missing or cannot be right."""
        if not self.story.notes:
            return
        yield Text("Notes", style="bold")
        shown = self.story.notes if self.words.everything else self.story.notes[:_MAX_NOTES]
        for note in shown:
            yield from self._hanging(Text("  ! ", style="yellow"), Text(self.words.line(note.text)))
        if len(shown) < len(self.story.notes):
            yield Text(f"  {self.words.glyphs.more} {len(self.story.notes) - len(shown)} more notes", style="dim")

    def _title(self) -> Text:
        glyphs = self.words.glyphs
        mark, style = (f"{glyphs.error} ERROR", "bold red") if self.story.error else (f"{glyphs.ok} ok", "bold green")
        first = self.story.first_span
        title = Text.assemble((mark, style))
        title.append("  ")
        title.append(self.words.line(first.name) if first is not None else "(no spans)", style="bold")
        status = status_code(first) if first is not None else None
        parts = [str(status)] if status is not None else []
        duration = first.duration if first is not None else None
        total = self.story.end - self.story.start
        parts.append(format_duration(total if duration is None else duration))
        if duration is not None and total > duration:
            parts.append(f"its last work ended at {format_offset(total)}")
        return title.append(f"  {f' {glyphs.dot} '.join(parts)}")

    def _came_from(self, origin: Origin) -> Text:
        service = Text(self.words.line(origin.service) or "(unknown)", style=self.colours.get(origin.service, ""))
        verb = {
            "generated": "generated by ",
            "received": "received by ",
            "set": "set by ",
            "changed": "changed by ",
            "bound": "bound in ",
            "seen": "first seen in ",
        }[origin.how]
        text = Text.assemble(verb, service)
        if origin.how in ("generated", "received"):
            return text
        if origin.span_name is not None:
            text.append(f" in {self.words.line(origin.span_name)[:60]}")
        return text.append(f" {format_offset(origin.time - self.story.start)}", style="dim")

    def _value(self, origin: Origin) -> str:
        return self.words.line(show_value(origin.value)) or '""'

    def _cell(self, text: str, width: int) -> str:
        if cell_len(text) <= width:
            return set_cell_size(text, width)
        return set_cell_size(text, width - 1) + self.words.glyphs.more

    def _fact(self, label: str, value: Text) -> Iterator[Text]:
        yield from self._hanging(Text.assemble((f"  {label:<{_LABEL}}", "dim")), value)

    def _hanging(self, start: Text, text: Text) -> Iterator[Text]:
        """Yield *text* wrapped in the column after *start*."""
        indent = Text(" " * start.cell_len)
        for number, line in enumerate(text.wrap(self.console, max(8, self.width - start.cell_len), overflow="fold")):
            yield Text.assemble(indent if number else start, line)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
