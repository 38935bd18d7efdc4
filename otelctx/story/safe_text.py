"""
Safe text: what a terminal may be given of names, messages and values that came from outside.

No control character, escape sequence, lone surrogate or direction override is left in it, so it can neither steer the
terminal nor look like another line.
"""

from __future__ import annotations

import json
import re
import unicodedata

_ESCAPE_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # ECMA-48, 5.4: control sequences, as of colours
    r"|\x9b[0-?]*[ -/]*[@-~]"  # the same with the one-character introducer
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"  # 5.6: command strings, as of titles and links
    r"|\x1b[ -/]*[0-~]"  # 5.5 and ECMA-35: all other escape sequences
)
_LINE_BREAKS = re.compile("\r\n|[\r\u0085\u2028\u2029\x0b\x0c]")
_SUSPECT = re.compile("[^\n\x20-\x7e]")
_DROPPED = frozenset({"Cc", "Cf", "Cs"})  # Unicode general categories: controls, invisible formatting, surrogates


def clean_lines(text: str, encoding: str = "utf-8") -> str:
    r"""
    Return *text* without anything but printable characters and line feeds, as *encoding* can write it.

    >>> clean_lines("\x1b[31mred\x1b[0m\ttab\r\nnext")
    'red    tab\nnext'
    """
    text = _LINE_BREAKS.sub("\n", _ESCAPE_SEQUENCES.sub("", text)).replace("\t", "    ")
    text = _SUSPECT.sub(lambda match: "" if unicodedata.category(match[0]) in _DROPPED else match[0], text)
    return text.encode(encoding, "replace").decode(encoding)


def clean_line(text: str, encoding: str = "utf-8") -> str:
    r"""
    Return *text* on one line: `clean_lines` with every run of white space as one space.

    >>> clean_line("GET /a\nERROR forged")
    'GET /a ERROR forged'
    """
    return " ".join(clean_lines(text, encoding).split())


def show_value(value: object) -> str:
    """
    Return an attribute's value as text: a string as it is, everything else as JSON.

    >>> show_value("alice"), show_value(["a", 1]), show_value(None)
    ('alice', '["a", 1]', 'null')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
