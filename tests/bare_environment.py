"""The environment of programs that tests start: nothing configures telemetry but the test."""

import os

from otelctx.native import SWITCH


def bare_environment(*others: str) -> dict[str, str]:
    """Return what is set here, but for OpenTelemetry's names, ours, and those that begin with one of *others*."""
    # Whether the compiled twins run is said for the whole run of the tests, and so for what they start.
    return {
        name: value for name, value in os.environ.items() if name == SWITCH or not name.startswith(("OTEL", *others))
    }
