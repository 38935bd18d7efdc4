"""
Processors: those of a provider that do something when a span starts, is about to end, and has ended.

The SDK tells each of them of each span three times, and most do something once. Who does nothing by its class is not
called; everybody else is, in the order in which they were added.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from opentelemetry.sdk.trace import SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

_STEPS: Final = ("on_start", "_on_ending", "on_end")
_IDLE: Final = {getattr(SpanProcessor, step, None) for step in _STEPS} | {
    getattr(kind, step, None) for kind in (BatchSpanProcessor, SimpleSpanProcessor) for step in _STEPS[:2]
}

# A process has few providers, and each a few times another processor.
_MOST: Final = 64


class Processors(NamedTuple):
    """
    The processors of a provider.

    Attributes:
        of: what the provider has them in; kept, so that nothing else gets its id.
        on_start: those that are told when a span starts.
        on_ending: those that are told that it ends, before anybody is told that it has.
        on_end: those that are told when it has ended.
    """

    of: object
    on_start: tuple[Any, ...]
    on_ending: tuple[Any, ...]
    on_end: tuple[Any, ...]


_known: dict[int, Processors] = {}


def processors_of(processor: Any) -> Processors:
    """Return those that *processor*, a provider's, stands for at this moment."""
    of = processor._span_processors if type(processor) is SynchronousMultiSpanProcessor else processor  # noqa: SLF001 - see tracing.py
    found = _known.get(id(of))
    if found is None or found.of is not of:
        if len(_known) >= _MOST:
            _known.clear()
        members = of if type(of) is tuple else (of,)
        found = Processors(of, *(tuple(one for one in members if _does(one, step)) for step in _STEPS))
        _known[id(of)] = found
    return found


def _does(processor: Any, step: str) -> bool:
    return step in getattr(processor, "__dict__", ()) or getattr(type(processor), step, None) not in _IDLE
