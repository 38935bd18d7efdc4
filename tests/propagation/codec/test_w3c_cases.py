"""
The test cases of the W3C baggage repository, by their names there.

Source: https://github.com/w3c/baggage/blob/main/test/test_baggage.py
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

import pytest

from otelctx.propagation.codec import decode, encode

# Of a key, its value and its properties, each with a value or none.
Entry = tuple[str, list[tuple[str, "str | None"]]]

SPECIAL = "\t \"';=asdf!@#$%^&*()"
OWS = " \t "

PARSED: Mapping[str, tuple[str, dict[str, Entry]]] = {
    "BaggageTest.test_parse_simple": ("SomeKey=SomeValue", {"SomeKey": ("SomeValue", [])}),
    "BaggageTest.test_parse_multiple": (
        "SomeKey=SomeValue;SomeProp,SomeKey2=SomeValue2;ValueProp=PropVal",
        {"SomeKey": ("SomeValue", [("SomeProp", None)]), "SomeKey2": ("SomeValue2", [("ValueProp", "PropVal")])},
    ),
    "BaggageTest.test_parse_multiple_ows": (
        OWS.join(["SomeKey", "=", "SomeValue", ";", "SomeProp", ","])
        + OWS
        + OWS.join(["SomeKey2", "=", "SomeValue2", ";", "ValueProp", "=", "PropVal"]),
        {"SomeKey": ("SomeValue", [("SomeProp", None)]), "SomeKey2": ("SomeValue2", [("ValueProp", "PropVal")])},
    ),
    "BaggageTest.test_parse_multiple_kv_property": (
        "SomeKey=SomeValue;SomePropKey=SomePropValue,SomeKey2=SomeValue2;SomePropKey2=SomePropValue2",
        {
            "SomeKey": ("SomeValue", [("SomePropKey", "SomePropValue")]),
            "SomeKey2": ("SomeValue2", [("SomePropKey2", "SomePropValue2")]),
        },
    ),
    "BaggageTest.test_parse_multiple_kv_property_ows": (
        OWS.join(["SomeKey", "=", "SomeValue", ";", "SomePropKey=SomePropValue", ","])
        + OWS
        + OWS.join(["SomeKey2", "=", "SomeValue2", ";", "SomePropKey2", "=", "SomePropValue2"]),
        {
            "SomeKey": ("SomeValue", [("SomePropKey", "SomePropValue")]),
            "SomeKey2": ("SomeValue2", [("SomePropKey2", "SomePropValue2")]),
        },
    ),
    "BaggageEntryTest.test_parse_simple": ("SomeKey=SomeValue", {"SomeKey": ("SomeValue", [])}),
    "BaggageEntryTest.test_parse_multiple_equals": (
        "SomeKey=SomeValue=equals",
        {"SomeKey": ("SomeValue=equals", [])},
    ),
    "BaggageEntryTest.test_parse_percent_encoded": (f"SomeKey={quote(SPECIAL)}", {"SomeKey": (SPECIAL, [])}),
    "BaggageEntryTest.test_parse_property": (
        "SomeKey=SomeValue;SomeProp",
        {"SomeKey": ("SomeValue", [("SomeProp", None)])},
    ),
    "BaggageEntryTest.test_parse_multi_property": (
        "SomeKey=SomeValue;SomeProp;SecondProp=PropValue",
        {"SomeKey": ("SomeValue", [("SomeProp", None), ("SecondProp", "PropValue")])},
    ),
    "BaggageEntryTest.test_parse_multiple_properties_same_name": (
        "SomeKey=SomeValue;SomeProp;SomeProp=PropValue;SomeProp=AnotherPropValue",
        {"SomeKey": ("SomeValue", [("SomeProp", None), ("SomeProp", "PropValue"), ("SomeProp", "AnotherPropValue")])},
    ),
    "BaggageEntryTest.test_parse_kv_property": (
        "SomeKey=SomeValue;SomePropKey=SomePropValue",
        {"SomeKey": ("SomeValue", [("SomePropKey", "SomePropValue")])},
    ),
    "BaggageEntryTest.test_parse_simple_ows": (
        OWS.join(["SomeKey", "=", "SomeValue", ""]),
        {"SomeKey": ("SomeValue", [])},
    ),
    "BaggageEntryTest.test_parse_percent_encoded_ows": (
        OWS.join(["SomeKey", "=", quote(SPECIAL), ""]),
        {"SomeKey": (SPECIAL, [])},
    ),
    "BaggageEntryTest.test_parse_property_ows": (
        OWS.join(["SomeKey", "=", "SomeValue", ";", "SomeProp"]),
        {"SomeKey": ("SomeValue", [("SomeProp", None)])},
    ),
    "BaggageEntryTest.test_parse_multi_property_ows": (
        OWS.join(["SomeKey", "=", "SomeValue", ";", "SomeProp", ";", "SecondProp", "=", "PropValue"]),
        {"SomeKey": ("SomeValue", [("SomeProp", None), ("SecondProp", "PropValue")])},
    ),
    "BaggageEntryTest.test_parse_kv_property_ows": (
        OWS.join(["SomeKey", "=", "SomeValue", ";", "SomePropKey", "=", "SomePropValue"]),
        {"SomeKey": ("SomeValue", [("SomePropKey", "SomePropValue")])},
    ),
    "BaggageEntryTest.test_parse_percent_encoded_property": (
        f"SomeKey=SomeValue;SomePropKey={quote(SPECIAL)}",
        {"SomeKey": ("SomeValue", [("SomePropKey", SPECIAL)])},
    ),
    "BaggageEntryTest.test_parse_property_without_value_no_percent_decoding": (
        "SomeKey=SomeValue;ValueProp%20%09%20%3D%20%09%20PropVal",
        {"SomeKey": ("SomeValue", [("ValueProp%20%09%20%3D%20%09%20PropVal", None)])},
    ),
}


def entries(members: Mapping[str, str], properties: Mapping[str, str]) -> dict[str, Entry]:
    return {key: (text, parsed(properties.get(key, ""))) for key, text in members.items()}


def parsed(properties: str) -> list[tuple[str, str | None]]:
    """Return what a reader of *properties* makes of them; the codec itself hands them on as they came."""
    found: list[tuple[str, str | None]] = []
    for part in properties.split(";")[1:]:
        key, equals, value = part.partition("=")
        found.append((key.strip(" \t"), unquote(value.strip(" \t")) if equals else None))
    return found


@pytest.mark.parametrize("case", PARSED)
def test_it_is_read(case: str) -> None:
    header, expected = PARSED[case]
    assert entries(*decode([header])) == expected


@pytest.mark.parametrize("case", PARSED)
def test_what_was_read_is_sent_and_read_again(case: str) -> None:
    header, expected = PARSED[case]
    members, properties = decode([header])
    sent, _ = encode(members, {key: (members[key], rest) for key, rest in properties.items()})
    assert entries(*decode([sent])) == expected


class TestTheOthers:
    def test_ctor_default_of_both_classes(self) -> None:
        assert decode([]) == ({}, {})
        assert encode({}) == ("", ())
        assert encode({"SomeKey": "SomeValue"}) == ("SomeKey=SomeValue", ())

    def test_serialize_at_least_64(self) -> None:
        header, left_out = encode({f"key{number}": "value" for number in range(64)})
        assert (header.count(",") + 1, left_out) == (64, ())

    def test_serialize_long_entry(self) -> None:
        header, left_out = encode({"a": "0123456789" * 819})
        assert (len(header), left_out) == (8192, ())

    def test_serialize_many_entries(self) -> None:
        """
        512 members of 16 bytes, which the specification lets a platform shorten to 64.

        "A platform MUST propagate all list-members […] whenever both of these conditions are met" (3.3.2), and the
        first one, 64 members or less, is not.
        """
        header, left_out = encode({f"{number:03d}": "0123456789a" for number in range(512)})
        assert header.split(",")[:63] == [f"{number:03d}=0123456789a" for number in range(63)]
        assert header.split(",")[63:] == [f"otelctx-dropped={512 - 63}"]
        assert len(left_out) == 512 - 63

    def test_what_is_encoded_is_the_shortest_allowed(self) -> None:
        """In `test_parse_percent_encoded` more is encoded than must be; "code points which are not required to be
        percent-encoded MAY be" (3.3.1.3)."""
        assert encode({"SomeKey": SPECIAL})[0] == "SomeKey=%09%20%22'%3B=asdf!@#$%25^&*()"
