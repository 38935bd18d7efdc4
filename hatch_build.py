"""
The compiled part of otelctx: into a wheel with ``OTELCTX_NATIVE=1``, or beside its sources as a command.

Without the variable a wheel has Python alone, and works everywhere.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
SOURCES = ROOT / "otelctx" / "native"
BUILD = ROOT / "build" / "native"
NEEDS = ["cython>=3.1", "setuptools>=77"]

# What is compiled is not built for an interpreter without the GIL: it has no locks of its own.
IS_POSSIBLE = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a command
    BuildHookInterface = object  # type: ignore[assignment,misc]


def build(into: Path) -> list[Path]:
    """
    Compile all twins, and put them into the folder *into*.

    Returns:
        What was made.
    """
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    if not shutil.which(os.environ.get("CC", "cc").split()[0]):
        # A compiler that is a package; https://pypi.org/project/ziglang/
        os.environ["CC"] = f"{sys.executable} -m ziglang cc"
        os.environ["LDSHARED"] = f"{sys.executable} -m ziglang cc -shared"
    os.chdir(ROOT)
    extensions = [
        Extension(
            f"otelctx.native.{source.stem}", [str(source.relative_to(ROOT))], extra_compile_args=["-O2", "-g0", "-w"]
        )
        for source in sorted(SOURCES.glob("*.pyx"))
    ]
    modules = cythonize(extensions, build_dir=str(BUILD.relative_to(ROOT)), language_level=3, quiet=True)
    command = Distribution({"name": "otelctx", "ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = str(BUILD / "lib")
    command.build_temp = str(BUILD / "temp")
    command.ensure_finalized()
    command.run()
    into.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy2(made, into)) for made in map(Path, command.get_outputs())]


class NativeBuildHook(BuildHookInterface):
    """Adds the compiled part to a wheel that is asked to have it."""

    def _is_wanted(self) -> bool:
        return self.target_name == "wheel" and os.environ.get("OTELCTX_NATIVE") == "1" and IS_POSSIBLE

    def dependencies(self) -> list[str]:
        """Return what has to be installed to build it."""
        return NEEDS if self._is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless the wheel is *version* ``editable``, which has what `make native` makes."""
        if not self._is_wanted() or version == "editable":
            return
        for made in build(BUILD / "wheel"):
            build_data["force_include"][str(made)] = f"otelctx/native/{made.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


if __name__ == "__main__":
    if not IS_POSSIBLE:
        sys.exit("This Python has no compiled part of otelctx: it is for CPython with the GIL.")
    for made in build(SOURCES):
        print(made.relative_to(ROOT))
