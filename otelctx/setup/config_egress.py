"""
The section ``[otelctx.egress]``: which fields go to which hosts.

Of several sources the later one's list of rules takes the place of the earlier one's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from otelctx.core.fields import Field
from otelctx.core.registry import BUILT_IN
from otelctx.errors import DestinationError
from otelctx.propagation.egress import ALL, NOTHING, EgressPolicy, Rule
from otelctx.propagation.pattern import Pattern, parse_pattern
from otelctx.setup.config_schema import Switch, check_section, check_table
from otelctx.setup.config_source import Source, found

Names = Annotated[list[str], Meta(description="a list of field names, or ['*']")]


class EgressTable(TypedDict, total=False):
    """The table ``[otelctx.egress]``."""

    rules: Annotated[list[Any], Meta(description="a list of tables, [[otelctx.egress.rules]]")]
    defaults: Switch
    trace: Switch
    unknown: Names
    audit: Switch


class RuleTable(TypedDict, total=False):
    """A table ``[[otelctx.egress.rules]]``."""

    to: Annotated[list[str], Meta(min_length=1, description="a list of hosts, such as ['api.example.com']")]
    fields: Names
    trace: Switch


def build_egress(sources: Sequence[Source], fields: Iterable[Field], problems: list[str]) -> EgressPolicy | None:
    """
    Return the policy that *sources* give together, None where they say nothing; mistakes are added to *problems*.

    Args:
        fields: what is configured; a rule for a field that never leaves is a mistake.
    """
    given = check_section(sources, "egress", EgressTable, problems)
    if not given:
        return None
    declared = {field.name: field for field in (*BUILT_IN, *fields)}
    local = {name for name, field in declared.items() if not field.remote}
    values, source = given.get("rules", ([], sources[0]))
    rules = [_rule(source, number, value, local, problems) for number, value in enumerate(values, 1)]
    switches = {key: value for key, (value, _) in given.items() if key in {"defaults", "trace", "audit"}}
    unknown, origin = given.get("unknown", ([], sources[0]))
    return EgressPolicy(
        tuple(rule for rule in rules if rule is not None),
        unknown=_names(unknown, origin.at("egress", "unknown"), local, problems),
        **switches,
    )


def _rule(source: Source, number: int, table: object, local: Collection[str], problems: list[str]) -> Rule | None:
    path = ("egress", "rules", number)
    if not isinstance(table, dict):
        problems.append(f"{source.at(*path)}: expected a table, got {found(table)}")
        return None
    before = len(problems)
    keys = check_table(source, path, table, RuleTable, problems)
    if "to" not in table:
        problems.append(f"{source.at(*path)}: it needs hosts, such as to = ['api.example.com']")
    trace = keys.get("trace", True)
    if "fields" not in table and trace:
        problems.append(f"{source.at(*path)}: it needs fields, a list of names, ['*'] for all or [] for none")
    if keys.get("fields") and not trace:
        problems.append(f"{source.at(*path)}: with trace = false nothing goes there; leave fields or trace out")
    patterns = [_pattern(text, source.at(*path, "to"), problems) for text in keys.get("to", ())]
    names = _names(keys.get("fields", ()), source.at(*path, "fields"), local, problems)
    if len(problems) > before:
        return None
    return Rule(tuple(pattern for pattern in patterns if pattern is not None), names, trace, source.at(*path))


def _pattern(text: str, place: str, problems: list[str]) -> Pattern | None:
    try:
        return parse_pattern(text)
    except DestinationError as error:
        problems.append(f"{place}: {found(text)}: {error}")
        return None


def _names(names: Collection[str], place: str, local: Collection[str], problems: list[str]) -> frozenset[str]:
    if "*" in names and len(names) > 1:
        problems.append(f"{place}: '*' is all fields; leave the others out")
    problems.extend(
        f"{place}: field {name!r} is local and never leaves; declare it with remote = true"
        for name in names
        if name in local
    )
    return ALL if "*" in names else frozenset(names) or NOTHING
