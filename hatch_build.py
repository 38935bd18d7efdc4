"""
The compiled part of otelctx: into a wheel with ``OTELCTX_NATIVE=1``, or beside its sources as a command.

Without the variable a wheel has Python alone, and works everywhere.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
SOURCES = ROOT / "otelctx" / "native"
BUILD = ROOT / "build" / "native"
NEEDS = ["cython>=3.1", "setuptools>=77"]
# A C compiler that is a package, for machines without one.
COMPILER = "ziglang>=0.15"

# What is compiled has no locks of its own, and looks into CPython's structures.
IS_POSSIBLE = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
NOT_POSSIBLE = "The twins are for CPython with the GIL; on this Python otelctx runs without them."

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a command
    BuildHookInterface = object  # type: ignore[assignment,misc]


def compiler() -> str | None:
    """Return the C compiler of this machine: the one asked for, the one that made Python, or any."""
    for command in (os.environ.get("CC"), sysconfig.get_config_var("CC"), "cc"):
        if command and shutil.which(shlex.split(command)[0]):
            return command
    return None


def build(into: Path) -> list[Path]:
    """
    Compile all twins, and put them into the folder *into* in the place of what is there for this Python.

    Returns:
        What was put there. Its time is that of the beginning: a source that changes meanwhile is younger.
    """
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        sys.exit(f"{header} is missing. Install Python's headers: on Debian and Ubuntu, apt install python3-dev.")
    began = time.time()
    if os.name == "posix":  # elsewhere setuptools looks for the compiler, and its options have other names
        # Zig would compile for the very processor that it runs on.
        os.environ["CC"] = compiler() or f"{shlex.quote(sys.executable)} -m ziglang cc -mcpu=baseline"
    os.chdir(ROOT)
    extensions = [
        Extension(
            f"otelctx.native.{source.stem}",
            [str(source.relative_to(ROOT))],
            extra_compile_args=["-O2", "-g0"] if os.name == "posix" else [],
            extra_link_args=["-s"] if sys.platform == "linux" else [],  # no symbols
            depends=[Path(__file__).name],
        )
        for source in sorted(SOURCES.glob("*.pyx"))
    ]
    modules = cythonize(extensions, build_dir=str(BUILD.relative_to(ROOT)), language_level=3, quiet=True)
    command = Distribution({"name": "otelctx", "ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib = str(BUILD / "lib")
    command.build_temp = str(BUILD / "temp")
    command.parallel = True
    command.ensure_finalized()
    command.run()
    into.mkdir(parents=True, exist_ok=True)
    for former in into.glob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}"):
        former.unlink()
    result = [Path(shutil.copy(made, into)) for made in command.get_outputs()]
    for made in result:
        os.utime(made, (began, began))
    return result


class NativeBuildHook(BuildHookInterface):
    """Adds the compiled part to a wheel that is asked to have it."""

    def _is_wanted(self) -> bool:
        return self.target_name == "wheel" and os.environ.get("OTELCTX_NATIVE") == "1"

    def dependencies(self) -> list[str]:
        """Return what has to be installed to build it."""
        if not self._is_wanted() or not IS_POSSIBLE:
            return []
        return NEEDS if os.name != "posix" or compiler() else [*NEEDS, COMPILER]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, beside the sources where the wheel is *version* ``editable``, which runs them there."""
        if not self._is_wanted():
            return
        if not IS_POSSIBLE:
            self.app.display_warning(NOT_POSSIBLE)
            return
        if version == "editable":
            build(SOURCES)
            return
        for made in build(BUILD / "wheel"):
            build_data["force_include"][str(made)] = f"otelctx/native/{made.name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


if __name__ == "__main__":
    if not IS_POSSIBLE:
        sys.exit(NOT_POSSIBLE)
    for made in build(SOURCES):
        print(made.relative_to(ROOT))
