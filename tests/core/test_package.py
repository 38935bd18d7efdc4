"""
The package as a whole: what it exports, what importing it costs, whether its examples are true.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import otelctx
from otelctx import core, propagation

FLOORS = [
    module.name
    for package in (core, propagation)
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + ".")
]

MODULES_OF_OTHERS = """
import sys, json
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{module.partition(".")[0] for module in set(sys.modules) - before}})))
print(json.dumps(sorted(module for module in sys.modules if module.startswith("opentelemetry."))))
"""


def test_all_is_what_is_exported() -> None:
    """`__all__` names exactly the public things, in order, and each is what type checkers take it for."""
    (typed,) = (node for node in ast.parse(inspect.getsource(otelctx)).body if isinstance(node, ast.If))
    imports = [node for node in typed.body if isinstance(node, ast.ImportFrom)]
    modules = {alias.name: node.module or "" for node in imports for alias in node.names}
    assert sorted(modules) == otelctx.__all__
    for name, module in modules.items():
        assert getattr(otelctx, name) is getattr(importlib.import_module(module), name)
    assert set(otelctx.__all__) <= set(dir(otelctx))
    public = {
        name for name, value in vars(otelctx).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert set(otelctx.__all__) == public - {"TYPE_CHECKING", "import_module"}


def test_what_is_not_there_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'otelctx' has no attribute 'bnd'"):
        otelctx.bnd  # type: ignore[attr-defined]  # noqa: B018 - it is asked for


def test_the_command_line_and_other_parts_load_no_verb() -> None:
    output = subprocess.run(
        [sys.executable, "-c", MODULES_OF_OTHERS.format(statement="import otelctx, otelctx.cli, otelctx.setup")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {root for root in json.loads(output[0]) if root not in sys.stdlib_module_names} == {"otelctx"}


def test_star_import_gives_the_verbs() -> None:
    names: dict[str, object] = {}
    exec("from otelctx import *", names)
    assert set(otelctx.__all__) <= set(names)


@pytest.mark.parametrize(
    "statement", ["from otelctx import bind, get, request", "import otelctx.propagation.propagator"]
)
def test_importing_loads_the_standard_library_and_the_opentelemetry_api_only(statement: str) -> None:
    output = subprocess.run(
        [sys.executable, "-c", MODULES_OF_OTHERS.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    roots, parts = json.loads(output[0]), json.loads(output[1])
    # Whatever Cython has compiled puts two of its own there, which are no files.
    roots = [root for root in roots if root != "cython_runtime" and not root.startswith("_cython_")]
    foreign = {root for root in roots if root not in sys.stdlib_module_names}
    # What OpenTelemetry's API itself needs: the last two in its older releases only.
    assert foreign <= {"opentelemetry", "otelctx", "typing_extensions", "importlib_metadata", "zipp"}
    assert not [part for part in parts if part.startswith(("opentelemetry.sdk", "opentelemetry.instrumentation"))]
    assert not [part for part in parts if part.startswith(("opentelemetry.exporter", "opentelemetry.util.http"))]


def test_importing_does_nothing() -> None:
    """No thread, no registration, no read of the environment's otelctx variables, no output."""
    script = (
        "import threading, logging, os; factory = logging.getLogRecordFactory(); from otelctx import *;"
        "assert threading.active_count() == 1; assert logging.getLogRecordFactory() is factory;"
        "assert not logging.getLogger().handlers; assert not logging.getLogger('otelctx').handlers;"
        "import opentelemetry.trace as t; assert t._TRACER_PROVIDER is None"
    )
    result = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_call_warns_nobody_on_a_strict_interpreter() -> None:
    script = (
        "import otelctx\n"
        "with otelctx.request(user_id=b'bytes', carrier={'baggage': 'a=b'}), otelctx.bind(a=1):\n"
        "    otelctx.inject({}); otelctx.current()"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", script], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", FLOORS)
def test_the_examples_of_a_module_are_true(name: str, doctest_namespace: dict[str, object]) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs=doctest_namespace)
    assert result.failed == 0
