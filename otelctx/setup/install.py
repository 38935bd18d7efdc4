"""
Installation: everything that makes otelctx work in a process, once, in whatever way the process was started.

It may be called by several hooks of auto-instrumentation, in any order, and by hand.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Final

from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator

import otelctx
from otelctx.boundaries import subprocesses
from otelctx.errors import ConfigError
from otelctx.propagation.beside import RequestOpening
from otelctx.propagation.propagator import OtelctxPropagator
from otelctx.setup import boundaries, config, edges, fail_closed, gates, providers, quiet
from otelctx.setup.config_files import OTEL_CONFIG_FILE
from otelctx.setup.environment_variables import is_enabled
from otelctx.signals import log_bridge, log_records, shortcuts, tracing

_W3C: Final = ("traceparent", "tracestate", "baggage")

_logger = logging.getLogger("otelctx")

_installed = False


def install() -> None:
    """
    Install everything, unless ``OTELCTX_ENABLED`` is false; what is installed already stays as it is.

    Raises:
        ConfigError: a configuration file or variable is wrong. Everything else is installed all the same.
    """
    global _installed  # noqa: PLW0603 - once per process
    if not is_enabled(os.environ):
        return
    providers.attach()
    if _installed:
        return
    _installed = True
    for name in otelctx.__all__:
        # Else a signal handler could ask for a verb whose module is just being loaded.
        getattr(otelctx, name)
    _install_propagator()
    log_records.PATCH.install()
    log_bridge.PATCH.install()
    tracing.install()
    shortcuts.install()
    quiet.install()
    for boundary in boundaries.enabled(os.environ):
        boundary.install()
    edges.install()
    gates.install()
    try:
        _configure(config.load(os.environ, Path.cwd()))
    except ConfigError:
        fail_closed.hide(os.environ, Path.cwd())
        raise
    finally:
        # Last, because it takes the fields being declared to read it.
        subprocesses.continue_parents_request(os.environ)


def is_installed() -> bool:
    """Tell whether `install` was called, and not yet taken back."""
    return _installed


def uninstall() -> None:
    """Take everything away again that can be; processors stay on their providers."""
    global _installed  # noqa: PLW0603 - once per process
    if not _installed:
        return
    _installed = False
    _stop_detecting()
    subprocesses.leave_parents_request()
    gates.uninstall()
    edges.uninstall()
    boundaries.uninstall()
    quiet.uninstall()
    shortcuts.uninstall()
    tracing.uninstall()
    log_bridge.PATCH.uninstall()
    log_records.PATCH.uninstall()
    if _propagators is not None and get_global_textmap() is _propagators[1]:
        set_global_textmap(_propagators[0])


def pre_instrument() -> None:
    """Install everything before the instrumentors run; this hook runs under every distribution, and never raises."""
    try:
        install()
    except ConfigError as error:
        _logger.error("otelctx is set up, but not as configured: %s", error)  # noqa: TRY400 - it says all there is
    except Exception:
        _logger.exception("otelctx is not fully set up; the application runs on without it")


# The one of before and the one that we put in its place.
_propagators: tuple[TextMapPropagator, TextMapPropagator] | None = None


def _configure(settings: config.Settings) -> None:
    if not settings.subprocesses:
        boundaries.turn_off("subprocesses")
    if settings.detect != "off":
        from otelctx.detect import switch  # noqa: PLC0415 - off, it costs nothing

        switch.install(settings.detect)
    config.apply(settings)


def _stop_detecting() -> None:
    if "otelctx.detect.switch" in sys.modules:
        from otelctx.detect import switch  # noqa: PLC0415 - off, it costs nothing

        switch.uninstall()


def _install_propagator() -> None:
    global _propagators  # noqa: PLW0603 - once per process
    configured = get_global_textmap()
    replacement = _replacement(configured)
    if replacement is not configured:
        _propagators = (configured, replacement)
        set_global_textmap(replacement)


def _replacement(configured: TextMapPropagator) -> TextMapPropagator:
    """Return what does all that *configured* does, and opens requests, and believes only what the policy does."""
    own = OtelctxPropagator()
    # Named beside others, ours goes around them: what is read after it would pass by the policy. The name is private;
    # without it, they stay side by side.
    beside = getattr(configured, "_propagators", ())
    if any(isinstance(one, OtelctxPropagator) for one in beside):
        return OtelctxPropagator(*(one for one in beside if not one.fields <= own.fields))
    if own.fields <= configured.fields:
        return configured
    # Nobody chose OpenTelemetry's default, nor none at all, which is what a config file means that names none.
    by_file = os.environ.get(OTEL_CONFIG_FILE)
    unchosen = not os.environ.get("OTEL_PROPAGATORS") and (
        not configured.fields or (not by_file and configured.fields == {*_W3C})
    )
    return own if unchosen else RequestOpening(configured)
