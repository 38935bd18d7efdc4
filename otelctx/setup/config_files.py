"""
Configuration files: finding them and reading our table out of each.

A file that says nothing of otelctx costs no parser, and none of its mistakes is ours to report.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from otelctx.setup.config_source import Source, found
from otelctx.setup.environment_variables import OTELCTX_CONFIG

# Of OpenTelemetry itself: the environment variable specification, "Declarative configuration".
OTEL_CONFIG_FILE: Final = "OTEL_CONFIG_FILE"

_INSTALL: Final = "pip install 'otelctx[otlp]'"


def read_files(environ: Mapping[str, str], directory: Path, problems: list[str]) -> Iterator[Source]:
    """
    Yield what the configuration files say, the weakest first; what is wrong with a file is added to *problems*.

    Args:
        environ: names files of its own (``OTELCTX_CONFIG``, ``OTEL_CONFIG_FILE``).
        directory: where relative paths and the search for files start.
        problems: gets one line for each mistake.
    """
    home = environ.get("HOME", "")
    pyproject = nearest("pyproject.toml", directory, home)
    if pyproject is not None:
        yield from _read_pyproject(pyproject, problems)
    named = environ.get(OTELCTX_CONFIG, "").strip()
    if named:
        path = (directory / named).absolute()
        if path.is_file():
            yield from _read_otelctx_toml(path, problems)
        else:
            problems.append(f"{OTELCTX_CONFIG}: there is no file {str(path)!r}")
    else:
        found_above = nearest("otelctx.toml", directory, home)
        if found_above is not None:
            yield from _read_otelctx_toml(found_above, problems)
    opentelemetry = environ.get(OTEL_CONFIG_FILE, "").strip()
    if opentelemetry:
        yield from _read_opentelemetry((directory / opentelemetry).absolute(), problems)


def nearest(name: str, directory: Path, home: str) -> Path | None:
    """
    Return the file *name* in *directory* or the nearest one above it; None when there is none.

    A project ends where its repository does, and a user's files where the home directory does: what lies further up
    belongs to somebody else. A directory that may not be looked into counts as empty.

    Args:
        name: the file's name.
        directory: where the search starts; a relative one starts at the working directory.
        home: the user's home directory, such as ``HOME`` says; empty when there is none.
    """
    start = directory.absolute()
    last = Path(home).resolve() if home else None
    for place in (start, *start.parents):
        path = place / name
        # Path.is_file would raise where a directory above may not be looked into.
        if os.path.isfile(path):  # noqa: PTH113
            return path
        if place == last or os.path.exists(place / ".git"):  # noqa: PTH110 - the same
            return None
    return None


def _read_pyproject(path: Path, problems: list[str]) -> Iterator[Source]:
    try:
        content = path.read_bytes()
    except OSError:
        # Found by searching, and most of these say nothing of us: not being allowed to look is no mistake.
        return
    if b"otelctx" not in content:
        return
    tool = _parse_toml(path, content, problems).get("tool")
    if isinstance(tool, dict) and "otelctx" in tool:
        yield from _table(str(path), "tool.otelctx", tool["otelctx"], problems)


def _read_otelctx_toml(path: Path, problems: list[str]) -> Iterator[Source]:
    try:
        content = path.read_bytes()
    except OSError as error:
        problems.append(f"{path}: cannot be read: {error.strerror}")
        return
    document = _parse_toml(path, content, problems)
    for key in document:
        if key != "otelctx":
            spot = Source(str(path), "", {}).at(key)
            problems.append(f"{spot}: unknown key; everything in this file stands under [otelctx]")
    if "otelctx" in document:
        yield from _table(str(path), "otelctx", document["otelctx"], problems)


def _parse_toml(path: Path, content: bytes, problems: list[str]) -> dict[str, object]:
    try:
        # Needed only when a file says something; in a bare installation for Python 3.10 it is not there.
        toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError:
        problems.append(f"{path}: reading it needs tomli; {_INSTALL}")
        return {}
    try:
        document: dict[str, object] = toml.loads(content.decode())
    except (ValueError, RecursionError) as error:  # wrong TOML with its line and column, or not UTF-8
        problems.append(f"{path}: not valid TOML: {error}")
        return {}
    return document


def _read_opentelemetry(path: Path, problems: list[str]) -> Iterator[Source]:
    """
    Read ``instrumentation/development: python: {otelctx: …}`` with OpenTelemetry's own loader.

    So ``${VAR}``, anchors and JSON mean here what they mean for the rest of the file. The loader takes the variables
    from the environment of the process.
    """
    try:
        if b"otelctx" not in path.read_bytes():
            return
    except OSError as error:
        problems.append(f"{OTEL_CONFIG_FILE}: {str(path)!r} cannot be read: {error.strerror}")
        return
    try:
        # Heavy, an extra, and needed only for a file that speaks of us; the SDK loads it for the same file anyway.
        from opentelemetry.configuration import ConfigurationError, load_config_file  # noqa: PLC0415
    except ImportError:
        problems.append(f"{path}: reading it needs opentelemetry-configuration; pip install 'otelctx[all]'")
        return
    try:
        instrumentation = load_config_file(path).instrumentation_development
    except (ConfigurationError, ValueError) as error:
        problems.append(f"{path}: {error}")
        return
    python = (instrumentation.python if instrumentation is not None else None) or {}
    section: dict[str, object] = dict(python.get("otelctx") or {})
    # OpenTelemetry's own key, in the section of any instrumentation; one that is switched off says nothing.
    is_enabled = section.pop("enabled", True)
    if section and is_enabled:
        yield Source(str(path), "instrumentation/development.python.otelctx", section)


def _table(label: str, prefix: str, value: object, problems: list[str]) -> Iterator[Source]:
    if isinstance(value, dict):
        yield Source(label, prefix, value)
    else:
        problems.append(f"{label}: {prefix}: expected a table, got {found(value)}")
