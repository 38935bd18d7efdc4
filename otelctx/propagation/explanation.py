"""
Explanations: what goes to one destination, field by field, and why.

They ask the policy, the declarations and the seal that are in force, and decide nothing themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from otelctx.core.fields import REQUEST_ID, Field
from otelctx.core.registry import registry
from otelctx.errors import DestinationError
from otelctx.propagation.destination import Destination, parse
from otelctx.propagation.egress import Decision, policy
from otelctx.propagation.sealing import hides, is_encrypting

Form = Literal["clear", "masked", "hashed", "encrypted"]

_BAGGAGE: Final = "baggage"
_REDACTED: Final[dict[str, Form]] = {"mask": "masked", "hash": "hashed"}


@dataclass(frozen=True)
class Verdict:
    """
    What becomes of one field.

    Attributes:
        field: its name, or the key of baggage that no field declares.
        headers: those that it leaves in; none when it stays.
        form: what they have of it; None when it stays.
        why: the reason, in a few words.
    """

    field: str
    headers: tuple[str, ...]
    form: Form | None
    why: str


@dataclass(frozen=True)
class Explanation:
    """
    What goes to one destination.

    Attributes:
        destination: where that is; None when it is not clear.
        trace: whether the trace context goes there.
        decided_by: the rule and the pattern in it that means the destination, or why there is none.
        fields: every declared field, and the undeclared baggage that the rule names.
        undeclared: whether baggage goes there that no field declares and no rule names.
    """

    destination: Destination | None
    trace: bool
    decided_by: str
    fields: tuple[Verdict, ...]
    undeclared: bool


def explain(url: str) -> Explanation:
    """Return what would be sent to *url*; one that is not clear is explained too."""
    problem = ""
    destination = None
    try:
        destination = parse(url)
    except DestinationError as error:
        problem = f"it is not clear where that is: {error}"
    decision = policy().decide(destination)
    decided_by = problem or _rule(destination, decision)
    declared = registry().by_name
    named = () if _is_unbound(decision) else decision.fields
    undeclared = sorted({*named} - declared.keys() - {"*"} - registry().by_key.keys())
    return Explanation(
        destination,
        decision.trace,
        decided_by,
        (
            *(_verdict(field, decision, unclear=bool(problem)) for field in declared.values()),
            *(Verdict(key, (_BAGGAGE,), _form(key, None), "the rule names it") for key in undeclared),
        ),
        decision.everything and not _is_unbound(decision),
    )


def _is_unbound(decision: Decision) -> bool:
    """Tell whether members stay because they would be encrypted, and the request id, which binds them, stays too."""
    request_id = registry().by_name.get(REQUEST_ID.name, REQUEST_ID)
    goes = request_id.remote and decision.allows(request_id.name) and request_id.redaction("wire") != "drop"
    return is_encrypting() and not goes


def _rule(destination: Destination | None, decision: Decision) -> str:
    if destination is None or decision.rule is None:
        return "no rule names it"
    pattern = decision.rule.pattern_for(destination)
    meant = f" ({pattern.text})" if pattern else ""
    return f"the default rule{meant}" if decision.rule.source == "default" else f"{decision.rule.source}{meant}"


def _verdict(field: Field, decision: Decision, *, unclear: bool) -> Verdict:
    stays = _why_it_stays(field, decision, unclear=unclear)
    if stays:
        return Verdict(field.name, (), None, stays)
    form = _form(field.baggage_key, field)
    has_header = field.header and form != "encrypted"
    headers = (_BAGGAGE, field.header) if has_header and field.header else (_BAGGAGE,)
    if decision.rule is None:
        why = "otelctx.egress.unknown names it"
    else:
        why = "the rule lets every field go" if decision.everything else "the rule names it"
    return Verdict(field.name, headers, form, why)


def _why_it_stays(field: Field, decision: Decision, *, unclear: bool) -> str:
    if not field.remote:
        return "it is local and never leaves"
    if field.redaction("wire") == "drop":
        return "its redaction drops it on the wire"
    if not decision.trace:
        return "nothing goes there, not even the trace"
    if decision.allows(field.name):
        return "it is sealed with the request id, which stays" if _is_unbound(decision) else ""
    if unclear:
        return "the destination is not clear"
    return "no rule names this destination" if decision.rule is None else "the rule does not name it"


def _form(key: str, field: Field | None) -> Form:
    if hides(key):
        return "encrypted"
    action = None if field is None else field.redaction("wire")
    return _REDACTED.get(action or "", "clear")
