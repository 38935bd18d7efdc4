"""
The grammar and the limits of a ``baggage`` header, each with its clause of https://www.w3.org/TR/baggage/.

No expression here can be made to backtrack over the same text twice: what follows a repetition never begins with what
the repetition takes.
"""

from __future__ import annotations

import re
from typing import Final

from otelctx.core.fields import TCHARS, is_token

# Section 3.3.2, limits: what every platform is bound to propagate. Of a whole header, and of all headers together.
MAX_MEMBERS: Final = 64
MAX_BYTES: Final = 8192

# Section 3.3.1, OWS: optional whitespace around keys, values and properties, which is no part of them.
OWS: Final = " \t"

# Section 3.3.1.2, key: a token of RFC 9110.
is_key: Final = is_token

# Section 3.3.1, baggage-octet: visible ASCII but for the quotation mark, comma, semicolon and backslash.
_OCTET: Final = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]"

# Section 3.3.1.3, value: any number of octets, an equal sign too; it may be empty.
is_encoded: Final = re.compile(f"{_OCTET}*").fullmatch

# RFC 3986, section 2.1: percent-encoded octets, as many as follow each other; and a percent sign that begins none.
_HEX: Final = "[0-9A-Fa-f]"
replace_octets: Final = re.compile(f"%{_HEX}{_HEX}(?:%{_HEX}{_HEX})*").sub
has_stray_percent: Final = re.compile(f"%(?!{_HEX}{_HEX})").search

# Section 3.3.1.4, property: a key, or a key and a value, with whitespace around each.
is_properties: Final = re.compile(rf"(?:;[ \t]*{TCHARS}[ \t]*(?:=[ \t]*(?:{_OCTET}+[ \t]*)?)?)+").fullmatch

# Each member of a header that has a comma in front: its key, its value and its properties, each without the whitespace
# before and, but for the properties, after it. The first look ahead spares the others where there is no value.
members_in: Final = re.compile(
    rf",(?=[^,=]*=)[ \t]*({TCHARS})[ \t]*=[ \t]*(?:({_OCTET}+)[ \t]*)?(;[^,]*)?(?![^,])"
).findall

# A whole header of members without whitespace and properties: what nearly all senders send.
is_compact: Final = re.compile(f"{TCHARS}={_OCTET}*(?:,{TCHARS}={_OCTET}*)*").fullmatch

# Section 3.3.1.3: what each octet of UTF-8 is sent as. What is no baggage-octet, and the percent sign itself, "MUST be
# percent-encoded".
TEXT_OF: Final = tuple(
    chr(code) if code != ord("%") and is_encoded(chr(code)) else f"%{code:02X}" for code in range(0x100)
)

# A whole header of members that are their own encoding, each with one equal sign.
_PLAIN: Final = r"[\x21\x23\x24\x26-\x2b\x2d-\x3a\x3c\x3e-\x5b\x5d-\x7e]"
is_plain: Final = re.compile(f"{TCHARS}={_PLAIN}*(?:,{TCHARS}={_PLAIN}*)*").fullmatch
