"""Flask: the edge around every application."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from otelctx.boundaries.patches import Patch


def patch(app: ModuleType, at_the_edge: Callable[[Any], Any]) -> Patch:
    """Put the edge around calls of the ``Flask`` of module *app*, ``flask.app``."""
    return Patch(app.Flask, "__call__", at_the_edge)
