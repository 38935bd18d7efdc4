"""
Secret keys of a configuration section, from a file or a variable; no error ever shows one.

Several are for rotation: the first is used, the others are still known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from otelctx.setup.config_source import Source

# `openssl rand -hex 16`, 128 bits; what is shorter is likely a password, and a password can be guessed.
MIN_CHARACTERS: Final = 32

_SEPARATORS: Final = re.compile(r"[\s,]+")


def read_keys(
    section: str, given: Mapping[str, tuple[Any, Source]], directory: Path, problems: list[str]
) -> tuple[bytes, ...]:
    """
    Return the keys that ``key``, else ``key_file``, of *section* gives; mistakes are added to *problems*.

    Args:
        given: the checked keys of the section, each with who gave it.
        directory: where the relative path of a file starts.
    """
    if "key" in given:
        text, source = given["key"]
        return _keys_in(text, source.at(section, "key"), problems)
    if "key_file" not in given:
        return ()
    name, source = given["key_file"]
    path, spot = directory / name, source.at(section, "key_file")
    try:
        return _keys_in(path.read_text("utf-8"), f"{spot}: {str(path)!r}", problems)
    except OSError as error:
        problems.append(f"{spot}: {str(path)!r} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        problems.append(f"{spot}: {str(path)!r}: expected text with a key on each line")
    return ()


def _keys_in(text: str, spot: str, problems: list[str]) -> tuple[bytes, ...]:
    keys = [key.encode() for key in _SEPARATORS.split(text) if key]
    if not keys:
        problems.append(f"{spot}: expected a key, found nothing")
    for number, key in enumerate(keys, 1):
        if len(key) < MIN_CHARACTERS:
            problems.append(
                f"{spot}: key {number} has {len(key)} characters; expected at least {MIN_CHARACTERS}, such as "
                "'openssl rand -hex 32' makes"
            )
    return tuple(dict.fromkeys(keys))
