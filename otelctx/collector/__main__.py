"""
``python -m otelctx.collector``: the command alone, without the rest of the command line.

It is the same function that ``otelctx collector`` runs.
"""

from __future__ import annotations

import typer

from otelctx.collector.command import collector

if __name__ == "__main__":
    typer.run(collector)
