"""
Configuration by environment: the OTELCTX_ variables as tables of the same form as a file's.

Only the grammar is checked here; names and values are checked with those of the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from otelctx.setup.config_source import Source
from otelctx.setup.environment_variables import (
    OTELCTX_DETECT,
    OTELCTX_FIELDS,
    OTELCTX_REDACTION_KEY,
    OTELCTX_SEAL_KEY,
    OTELCTX_SPOOL,
    OTELCTX_SPOOL_DIRECTORY,
    OTELCTX_STRICT,
    OTELCTX_SUBPROCESSES,
)

_KEYS: Final = {OTELCTX_STRICT: "strict", OTELCTX_SUBPROCESSES: "subprocesses", OTELCTX_DETECT: "detect"}
_SECTION_KEYS: Final = {
    OTELCTX_REDACTION_KEY: ("redaction", "key"),
    OTELCTX_SEAL_KEY: ("seal", "key"),
    OTELCTX_SPOOL: ("export", "spool"),
    OTELCTX_SPOOL_DIRECTORY: ("export", "directory"),
}


def read_variables(environ: Mapping[str, str], problems: list[str]) -> Iterator[Source]:
    """Yield what the variables in *environ* say; mistakes in their grammar are added to *problems*."""
    for variable, key in _KEYS.items():
        text = environ.get(variable, "").strip()
        if text:
            yield Source(variable, "", {key: text}, is_text=True)
    for variable, (section, key) in _SECTION_KEYS.items():
        text = environ.get(variable, "").strip()
        if text:
            yield Source(variable, "", {section: {key: text}}, is_text=True)
    fields = environ.get(OTELCTX_FIELDS, "").strip()
    if fields:
        yield Source(OTELCTX_FIELDS, "", {"fields": parse_fields(fields, problems)}, is_text=True)


def parse_fields(text: str, problems: list[str]) -> dict[str, dict[str, object]]:
    """
    Return the field tables in *text*: ``field *( "," field )`` with ``field = name *( ":" key [ "=" value ] )``.

    Values are percent-decoded, as in ``OTEL_RESOURCE_ATTRIBUTES``. Spaces around each part and empty fields do not
    count.

    >>> parse_fields("tenant:remote:header=x-tenant, step", [])
    {'tenant': {'remote': True, 'header': 'x-tenant'}, 'step': {}}
    """
    fields: dict[str, dict[str, object]] = {}
    for declaration in filter(None, map(str.strip, text.split(","))):
        name, *options = map(str.strip, declaration.split(":"))
        if name in fields:
            problems.append(f"{OTELCTX_FIELDS}: {name!r} is declared twice")
            continue
        table = fields[name] = {}
        for option in options:
            key, equals, value = map(str.strip, option.partition("="))
            if key in table:
                problems.append(f"{OTELCTX_FIELDS}: {name!r} has the key {key!r} twice")
            table[key] = unquote(value) if equals else True
    return fields
