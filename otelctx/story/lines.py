"""
The words of a story: what one span, log line or event says.

Whatever came from outside is clean text in a `Text` without markup, so it can neither style nor steer the terminal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.text import Text

from otelctx.story.addresses import target_of
from otelctx.story.appearance import Glyphs
from otelctx.story.origins import SET_EVENT
from otelctx.story.records import Attributes, EventRecord, LogRecord, MissingSpan, SpanRecord, as_text
from otelctx.story.safe_text import clean_line, clean_lines, show_value
from otelctx.story.tree import Tree

_SHORT_LEVELS = {"WARNING": "WARN", "CRITICAL": "CRIT", "INFORMATION": "INFO"}
_LEVEL_STYLES = {"WARN": "yellow", "DEBUG": "dim", "TRACE": "dim"}
_LAST_FRAME = re.compile(r'File "([^"\n]{1,500})", line (\d{1,9})(?:, in ([^\n]{1,200}))?')
_MAX_CHARACTERS = 2_000  # of one text, unless everything is asked for
_FAILED = 400  # RFC 9110, 15.5: the first status code that is an error


@dataclass(frozen=True)
class Words:
    """Turns records into text; *everything* leaves nothing out, *encoding* is the one to be written in."""

    glyphs: Glyphs
    encoding: str
    everything: bool

    def line(self, text: str) -> str:
        """Return *text* from outside as one clean line."""
        return clean_line(text if self.everything else text[:_MAX_CHARACTERS], self.encoding)

    def span(self, span: SpanRecord, linked: str | None = None) -> Text:
        """Return the title of a span: its name, how it failed, where it went, and the span that it was linked to."""
        title = Text.assemble((f"{self.glyphs.error} " if span.error else "", "bold red"))
        title.append(self.line(span.name), style="bold red" if span.error else "bold")
        status = status_code(span)
        if status is not None and status >= _FAILED:
            title.append(f" {status}")
        target = target_of(span) if span.kind == "client" else None
        if target is not None:
            title.append(f" {self.glyphs.arrow} {self.line(f'{target}{target.path}')}")
        if linked is not None:
            title.append(f" (linked to {self.line(linked)})", style="dim")
        return title

    def span_message(self, span: SpanRecord) -> list[Text]:
        """Return why a span failed; nothing when it does not say."""
        message = self.line(span.status_message)
        return [Text(f"{self.glyphs.error} {message}", style="red")] if message else []

    def missing(self, record: MissingSpan) -> list[Text]:
        """Return the line that stands for a span that never arrived."""
        return [Text(f"? span {self.line(record.span_id)} never arrived", style="yellow")]

    def log(self, log: LogRecord) -> list[Text]:
        """Return level, logger and message, then its exception and where that was raised, as paragraphs."""
        level = self.line(_SHORT_LEVELS.get(log.level, log.level))[:5]
        style = "red" if log.error else _LEVEL_STYLES.get(level, "")
        text = Text.assemble((f"{level:<5} ", f"bold {style}".strip()))
        if log.logger:
            text.append(f"{self.line(log.logger)}: ", style="dim")
        body = log.body if self.everything else log.body[:_MAX_CHARACTERS]
        text.append(clean_lines(body, self.encoding).strip("\n"), style=style)
        title = self._exception(log.attributes)
        return [text, *([Text(title, style="red")] if title else []), *self._stack(log.attributes)]

    def event(self, event: EventRecord) -> list[Text]:
        """Return what happened inside a span, as paragraphs: a field's new value, an exception, or the event's name."""
        if event.name == SET_EVENT:
            pairs = [f"{self.line(name)} = {self.line(show_value(value))}" for name, value in event.attributes.items()]
            return [Text(f"set {', '.join(pairs)}", style="italic")]
        if event.name == "exception":
            title = f"{self.glyphs.error} raised {self._exception(event.attributes) or 'an exception'}"
            return [Text(title, style="red"), *self._stack(event.attributes)]
        return [Text(f"event {self.line(event.name)}", style="dim")]

    def _exception(self, attributes: Attributes) -> str:
        """Return type and message of an exception; of a message of several lines the first, unless all is asked for."""
        title = exception_title(attributes)
        return self.line(title if self.everything else title.strip().partition("\n")[0])

    def _stack(self, attributes: Attributes) -> list[Text]:
        stack = as_text(attributes.get("exception.stacktrace"))
        if not stack:
            return []
        if self.everything:
            return [Text(clean_lines(stack, self.encoding).rstrip(), style="dim")]
        return [Text(f"at {self._last_frame(stack)}", style="dim")]

    def _last_frame(self, stack: str) -> str:
        """Return where the exception was raised: the innermost frame of a Python traceback, else its last line."""
        frames = _LAST_FRAME.findall(stack)
        if not frames:
            return self.line((stack.strip().splitlines() or [""])[-1])
        path, number, function = frames[-1]
        place = "/".join(path.replace("\\", "/").split("/")[-2:]) + f":{number}"
        return self.line(f"{place} in {function}" if function else place)


def exception_title(attributes: Attributes) -> str:
    """Return type and message of the exception in *attributes*; empty when there is none."""
    kind, message = (as_text(attributes.get(f"exception.{name}")) for name in ("type", "message"))
    return f"{kind}: {message}" if kind and message else kind or message


def status_code(span: SpanRecord) -> int | None:
    """Return the HTTP status code of a span (semantic conventions for HTTP, new and old); None when it has none."""
    for name in ("http.response.status_code", "http.status_code"):
        status = span.attributes.get(name)
        if isinstance(status, int):
            return status
    return None


def repeated_exceptions(tree: Tree) -> set[int]:
    """Return the `id()` of the exception events that only repeat the exception of a log line of the same span."""
    repeated: set[int] = set()
    for entry in tree.walk():
        below = [(child, child.record) for child in entry.children]
        logged = {exception_title(record.attributes) for _, record in below if isinstance(record, LogRecord)} - {""}
        raised = [(child, record) for child, record in below if isinstance(record, EventRecord)]
        repeated.update(id(child) for child, event in raised if exception_title(event.attributes) in logged)
    return repeated
