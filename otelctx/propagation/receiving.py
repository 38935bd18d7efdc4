"""
What a request starts with, made of what came in: only what a field declares and accepts becomes a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from otelctx.core.fields import Field
from otelctx.core.registry import registry
from otelctx.core.request import Request


def request_from(members: Mapping[str, str], headers: Mapping[str, Sequence[str]]) -> Request:
    """
    Open the request that came with baggage *members* and field *headers*; a header counts more than a member.

    Args:
        members: by baggage key; those that no field declares are carried on as they are.
        headers: by header name, each with all its values. Several of one name are nobody's clear word.
    """
    declared = registry()
    values: dict[str, object] = {}
    carried: dict[str, str] = {}
    for key, text in members.items():
        field = declared.by_key.get(key)
        if field is None:
            carried[key] = text
        else:
            _keep(values, field, text)
    for header, found in headers.items():
        if len(found) == 1:
            _keep(values, declared.headers[header], found[0].strip(" \t"))
    return Request(values, carried)


def _keep(values: dict[str, object], field: Field, text: str) -> None:
    value = field.accept(text) if text else None
    if value is not None:
        values[field.name] = value
