"""
The environment variables of otelctx, as OpenTelemetry's `opentelemetry_environment_variables` entry point wants them.

`opentelemetry-instrument` makes an option of each name that starts with ``OTEL_``; none of these does.
An empty value counts as not set, as it does for OpenTelemetry's own.
"""

from collections.abc import Mapping
from typing import Final

OTELCTX_ENABLED: Final = "OTELCTX_ENABLED"
"""
Whether set-up does anything: ``true`` (default) or ``false``. With ``false`` no configuration is read either.
"""

OTELCTX_CONFIG: Final = "OTELCTX_CONFIG"
"""
A file that is read in place of the nearest ``otelctx.toml``; it has the same form and must exist.

A relative path starts at the working directory.
"""

OTELCTX_STRICT: Final = "OTELCTX_STRICT"
"""
Whether undeclared fields are refused: ``true`` or ``false`` (default).
"""

OTELCTX_FIELDS: Final = "OTELCTX_FIELDS"
"""
Fields to declare, for example ``tenant:remote:header=x-tenant, step, attempt:type=int:metric``.

Commas part the fields and colons the keys of one field; a key alone means true. A value may be percent-encoded; a
comma (``%2C``), a colon (``%3A``) or a percent sign (``%25``) in it must be.
"""

OTELCTX_SUBPROCESSES: Final = "OTELCTX_SUBPROCESSES"
"""
Whether the programs that a request starts are told of it in their environment: ``true`` (default) or ``false``.
"""

OTELCTX_DETECT: Final = "OTELCTX_DETECT"
"""
What is done about leaks and losses of the context: ``off`` (default), ``warn`` or ``error``.
"""

OTELCTX_REDACTION_KEY: Final = "OTELCTX_REDACTION_KEY"
"""
The keys of hashed fields, parted by spaces or commas; the first makes hashes, all are searched for.
"""

OTELCTX_SEAL_KEY: Final = "OTELCTX_SEAL_KEY"
"""
The keys of seals, parted by spaces or commas; the first makes seals, all are accepted.
"""

OTELCTX_SPOOL: Final = "OTELCTX_SPOOL"
"""
Whether what cannot be delivered waits on disk: ``true`` (default) or ``false``, which leaves it to the SDK's exporters.
"""

OTELCTX_SPOOL_DIRECTORY: Final = "OTELCTX_SPOOL_DIRECTORY"
"""
Where it waits. A relative path starts at the working directory.
"""

OTELCTX_COLLECTOR: Final = "OTELCTX_COLLECTOR"
"""
The base address of the collector that the command line asks, ``http://127.0.0.1:4318`` by default.

Where telemetry is sent is said by ``OTEL_EXPORTER_OTLP_ENDPOINT``, as always.
"""

OTELCTX_NATIVE: Final = "OTELCTX_NATIVE"
"""
Whether the compiled twins run where there are some: anything (default), or ``false`` or ``0``.

`otelctx.native` reads it, at import.
"""


def is_enabled(environ: Mapping[str, str]) -> bool:
    """
    Tell whether set-up does anything, and so whether there is a configuration.

    >>> is_enabled({}), is_enabled({"OTELCTX_ENABLED": "False"})
    (True, False)
    """
    return environ.get(OTELCTX_ENABLED, "").strip().lower() != "false"
