"""
Detection, on and off. It is for development, tests and a careful look at production; off, nothing of it is left.
"""

from __future__ import annotations

from otelctx.detect import findings, leaks, losses, starters


def install(mode: findings.Mode = "warn") -> None:
    """
    Find leaks and losses from now on; what works has started before is not known.

    Args:
        mode: ``warn`` logs them. ``error`` logs them as errors; a leak is also raised at the end of
            ``with otelctx.request()``, the loss of a required field by `get`, and the others by `findings.check`.
    """
    findings.set_mode(mode)
    starters.install()
    losses.install()
    leaks.install()


def uninstall() -> None:
    """Find nothing any more, and restore what was replaced."""
    leaks.uninstall()
    losses.uninstall()
    starters.uninstall()
    findings.forget()
