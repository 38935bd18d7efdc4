"""
The waterfall: one line for each span with its bar on the time scale, and below it what it logged.

No line is wider than the layout, whatever the records hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from otelctx.story.assembly import Story, end_of, is_error
from otelctx.story.layout import DURATION, OFFSET, Layout
from otelctx.story.lines import Words, exception_title, repeated_exceptions
from otelctx.story.records import EventRecord, LogRecord, MissingSpan, SpanKey, SpanRecord
from otelctx.story.rows import Guides, Hidden, Row
from otelctx.story.selection import choose_entries
from otelctx.story.timing import format_duration, format_offset
from otelctx.story.tree import Entry

_MAX_LINES = 3  # of one log message, unless everything is asked for


@dataclass(frozen=True)
class Waterfall:
    """Draws the tree of a story, at most *budget* entries of it; *console* only measures and wraps."""

    story: Story
    layout: Layout
    words: Words
    colours: dict[str, str]
    console: Console
    budget: int

    def lines(self) -> Iterator[Text]:
        """Yield the lines, the time scale first."""
        tree = self.story.tree
        names = {entry.record.key: entry.record.name for entry in tree.walk() if isinstance(entry.record, SpanRecord)}
        chosen = choose_entries(tree, self.budget, is_error)
        repeated = set[int]() if self.words.everything else repeated_exceptions(tree)
        guides = Guides(self.words.glyphs, width=self.layout.title // 2)
        yield self._scale()
        is_outside = not names
        for row in guides.rows(tree, chosen, repeated):
            if isinstance(row.item, Hidden):
                hidden = Text(f"{self.words.glyphs.more} {row.item}", style="dim")
                yield from self._paragraphs(row, [hidden], gutter=self._blank())
            elif isinstance(row.item.record, SpanRecord):
                yield from self._span(row, row.item, row.item.record, names)
            else:
                if not is_outside and row.item.parent is None and isinstance(row.item.record, LogRecord):
                    is_outside = True
                    yield Text.assemble(self._blank(), ("outside of any span:", "dim"))
                yield from self._paragraphs(row, self._words_of(row.item), self._gutter(row.item))

    def _blank(self) -> Text:
        return Text(" " * self.layout.gutter)

    def _scale(self) -> Text:
        end = format_duration(max(0, self.story.end - self.story.start))
        scale = set_cell_size("0", self.layout.bar - len(end)) + end
        line = f"{'start':>{OFFSET}} {set_cell_size('service', self.layout.service + 2)}"
        return Text(f"{set_cell_size(line, self.layout.gutter + self.layout.title + 1)}{scale}", style="dim")

    def _gutter(self, entry: Entry) -> Text:
        recorded = _recorded_time(entry)
        offset = format_offset(recorded - self.story.start) if recorded else ""
        gutter = Text.assemble((f"{offset:>{OFFSET}} ", "dim"))
        service = self.words.line(entry.service)
        if cell_len(service) > self.layout.service:
            service = set_cell_size(service, self.layout.service - 1) + self.words.glyphs.more
        is_span = isinstance(entry.record, SpanRecord)
        colour = self.colours.get(entry.service, "")
        gutter.append(set_cell_size(service, self.layout.service), style=colour if is_span else f"dim {colour}".strip())
        return gutter.append("  ")

    def _span(self, row: Row, entry: Entry, span: SpanRecord, names: dict[SpanKey, str]) -> Iterator[Text]:
        linked = next((names[link] for link in span.links if link in names), None) if entry.parent is None else None
        title = self._cut(Text.assemble((row.first, "dim"), self.words.span(span, linked)), self.layout.title)
        title.pad_right(self.layout.title - title.cell_len)
        line = Text.assemble(self._gutter(entry), title, " ", self._bar(entry))
        line.append(f" {format_duration(span.duration):>{DURATION}}", style="red" if span.error else "")
        yield line
        message = self.words.span_message(span)
        if not _has_exception(entry):
            yield from self._paragraphs(Row(entry, row.rest, row.rest), message, self._blank())

    def _bar(self, entry: Entry) -> Text:
        width, total = self.layout.bar, max(1, self.story.end - self.story.start)
        start = min(width - 1, max(0, (entry.time - self.story.start) * width // total))
        end = min(width, max(start + 1, -((self.story.start - end_of(entry)) * width // total)))
        bar = Text(" " * start)
        colour = "red" if is_error(entry) else self.colours[entry.service]
        bar.append(self.words.glyphs.bar * (end - start), style=colour)
        return bar.append(" " * (width - end))

    def _paragraphs(self, row: Row, paragraphs: list[Text], gutter: Text) -> Iterator[Text]:
        """Yield *paragraphs*, each wrapped below the guides; only the first line has the *gutter*."""
        guides = Text(row.first, style="dim")
        room = max(8, self.layout.text - max(cell_len(row.first), cell_len(row.rest)) - 2)
        for number, paragraph in enumerate(paragraphs):
            hanging = "" if number == 0 else "  "
            for line in self._wrap(paragraph, room):
                yield Text.assemble(gutter, guides, hanging, line)
                gutter, guides, hanging = self._blank(), Text(row.rest, style="dim"), "  "

    def _wrap(self, paragraph: Text, width: int) -> list[Text]:
        if paragraph.cell_len <= width and "\n" not in paragraph.plain:
            return [paragraph]
        lines = list(paragraph.wrap(self.console, width, overflow="fold"))
        if self.words.everything or len(lines) <= _MAX_LINES:
            return lines
        last = lines[_MAX_LINES - 1]
        last.rstrip()
        last.truncate(width - 1)
        return [*lines[: _MAX_LINES - 1], last.append(self.words.glyphs.more)]

    def _words_of(self, entry: Entry) -> list[Text]:
        record = entry.record
        if isinstance(record, LogRecord):
            return self.words.log(record)
        if isinstance(record, EventRecord):
            return self.words.event(record)
        return self.words.missing(record) if isinstance(record, MissingSpan) else []

    def _cut(self, text: Text, width: int) -> Text:
        if text.cell_len > width:
            text.truncate(width - 1)
            text.append(self.words.glyphs.more)
        return text


def _recorded_time(entry: Entry) -> int:
    """Return when its own clock says that the line happened, in nanoseconds since the epoch; 0 when nothing says it."""
    record = entry.record
    own = record.start if isinstance(record, SpanRecord) else None if isinstance(record, MissingSpan) else record.time
    return own or entry.time


def _has_exception(entry: Entry) -> bool:
    """Return whether an exception below the span *entry* says why it failed."""
    below = (child.record for child in entry.children)
    return any(exception_title(record.attributes) for record in below if isinstance(record, LogRecord | EventRecord))
