"""The list of private names of OpenTelemetry is the list of those that the code uses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "otelctx"
PRIVATE = re.compile(r"_[^\W_]\w*")

# The same kind of use, of somebody else's: of Python, of ourselves, of servers and clients.
OF_OTHERS = {
    *("_getframe", "_WorkItem", "_run", "boundaries/threads.py: _context"),
    *("_with", "_current_context", "_is_coroutine"),
    *("_asgi_call_wrap", "_captured_signals", "_make_request", "_send_single_request"),
}
# Experimental, and the only way to its logs.
EXPERIMENTAL = {"_logs"}


def uses(source: str) -> Iterator[str]:
    """Yield each private name that *source* imports, reaches for at another object, asks for or names in a path."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opentelemetry"):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from filter(PRIVATE.fullmatch, parts)
        elif isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr):
            # ruff has each of these marked, unless it is of `self`.
            is_self = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            if not is_self and "SLF001" in lines[(node.end_lineno or node.lineno) - 1]:
                yield node.attr
        elif isinstance(node, ast.Call | ast.AnnAssign) and asks(node):
            yield from filter(PRIVATE.fullmatch, texts(node))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"opentelemetry(\.\w+)+", str(node.value)):
            yield from filter(PRIVATE.fullmatch, str(node.value).split("."))


def asks(node: ast.Call | ast.AnnAssign) -> bool:
    if isinstance(node, ast.Call):
        return ast.unparse(node.func) in {"getattr", "hasattr", "Patch"}
    return ast.unparse(node.target) in {"_PRIVATE", "_NEEDED"}


def texts(node: ast.AST) -> list[str]:
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def used() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for name in uses(path.read_text("utf-8")):
            place = str(path.relative_to(PACKAGE))
            if not {name, f"{place}: {name}"} & (OF_OTHERS | EXPERIMENTAL):
                found.setdefault(name, set()).add(place)
    return found


def listed() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in (ROOT / "docs/private-names.md").read_text("utf-8").splitlines():
        if line.startswith("| `"):
            names, places, *_ = line.strip("| ").split(" | ")
            for name in re.findall(r"`([^`]+)`", names):
                for part in filter(PRIVATE.fullmatch, name.split(".")):
                    found.setdefault(part, set()).update(re.findall(r"`([^`]+)`", places))
    return found


def test_each_name_that_the_code_uses_is_listed() -> None:
    assert {name: places for name, places in used().items() if not places <= listed().get(name, set())} == {}


# A log's module is written with a variable before it.
def test_each_name_that_is_listed_is_used() -> None:
    assert listed().keys() - used().keys() <= {"_log_exporter"}


@pytest.mark.parametrize(
    "source",
    [
        "from opentelemetry.sdk import _new",
        "from opentelemetry._new import thing",
        "span._new = 1  # noqa: SLF001 - why",
        "getattr(provider, '_new', None)",
        "NAME = 'opentelemetry.sdk._new'",
    ],
)
def test_a_new_one_would_be_found(source: str) -> None:
    assert list(uses(source)) == ["_new"]
