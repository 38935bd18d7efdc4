"""
What is sent where no destination is known: it is told who did that, and how to name one.

Instrumentation that stands outside a gate injects before the destination is known, and that is as it should be: the
gate follows, and decides on the fields.
"""

from __future__ import annotations

import sys
from typing import Final

from otelctx.core.reports import report
from otelctx.propagation.egress import NOTHING, Decision, policy

_PLUMBING: Final = ("otelctx.propagation.", "otelctx.detect.", "otelctx.testing.", "opentelemetry.propagat")

_TRACE_ONLY: Final = Decision(NOTHING, trace=True)

_followed: frozenset[str] = frozenset()


def gate_follows(*instrumentations: str) -> None:
    """Expect that a gate stands inside these modules, by their names, from now on."""
    global _followed  # noqa: PLW0603 - one reference, replaced as a whole
    _followed |= {*instrumentations}


def no_gate_follows(*instrumentations: str) -> None:
    """Expect no gate inside these modules any more."""
    global _followed  # noqa: PLW0603 - one reference, replaced as a whole
    _followed -= {*instrumentations}


def is_followed() -> bool:
    """Return whether a gate stands inside of what injects here."""
    return _sender() in _followed


def undirected() -> Decision:
    """Return what may leave where no destination is named; where a gate follows, the trace alone."""
    decision = policy().unknown
    return _TRACE_ONLY if decision.fields and _followed and _sender() in _followed else decision


def withheld() -> None:
    """Count and report that fields stay here because no destination is known, unless a gate follows."""
    sender = _sender()
    if sender not in _followed:
        report(
            "egress.unknown_destination",
            "%s sends without saying where to, so fields stay here and only the trace goes; name the destination as in "
            "otelctx.inject(headers, destination='https://api.example.com'), or set otelctx.egress.unknown",
            sender,
        )


def _sender() -> str:
    frame = sys._getframe(2)  # noqa: SLF001 - a stack would be made of all of it
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith(_PLUMBING):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "?"))
