"""
Every exception that otelctx raises on purpose.

All of them mean a programmer's or an operator's mistake; bad input from the network never raises.
"""

from __future__ import annotations


class OtelctxError(Exception):
    """Base of all exceptions of this package."""


class FieldError(OtelctxError, ValueError):
    """A field is declared wrongly, or a value does not fit its declaration."""


class UnknownFieldError(OtelctxError, LookupError):
    """In strict mode, a name that no field declares."""


class ConfigError(OtelctxError, ValueError):
    """A configuration file or variable is wrong; the message names file, key and what was expected."""


class DestinationError(OtelctxError, ValueError):
    """A text that does not say clearly where something goes."""


class DetectionError(OtelctxError):
    """Base of what detection raises."""


class LeakError(DetectionError):
    """Work that a request started still runs in it when it ends, or a worker was left in one."""


class LossError(DetectionError):
    """Work that a request started went on outside any; the message names the place where it was started."""


class CollectorError(OtelctxError):
    """The local collector cannot be started, reached or understood."""
