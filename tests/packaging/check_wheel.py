"""
The built wheels, tried in clean environments: that of Python bare and with each extra alone, and the compiled one.

Run by ``make wheel``. It needs the package registry, so it is no part of ``make test``.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What each extra must be able to do with nothing else installed.
WORKS = {
    "": """
import sys, otelctx
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "starlette", "flask", "fastapi"))]
with otelctx.request(user_id="alice"):
    headers = {}
    otelctx.inject(headers, destination="http://orders")
assert "user_id=alice" in headers["baggage"], headers
import otelctx.integrations.asgi, otelctx.integrations.wsgi
""",
    "otlp": """
from otelctx.setup.instrumentor import OtelctxInstrumentor
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
OtelctxInstrumentor().instrument()
import otelctx
with otelctx.request(user_id="alice"), trace.get_tracer("t").start_as_current_span("s") as span:
    assert span.attributes["user.id"] == "alice"
""",
    "sdk": "import opentelemetry.sdk.trace, otelctx.signals.spans, otelctx.setup.configurator",
    "asgi": """
from otelctx.integrations.asgi import OtelctxMiddleware
from otelctx.integrations.asgi.server_span import ServerSpan
""",
    "collector": "from otelctx.collector.command import collector",
    "cli": "from otelctx.cli.app import app",
    "demo": "import otelctx.demo.gateway, otelctx.demo.orders, otelctx.demo.inventory, otelctx.demo.session",
    "all": "import otelctx.cli.app, otelctx.collector.command, otelctx.demo.command, otelctx.setup.install",
}

COMPILED = {".so", ".pyd"}
IS_POSSIBLE = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
SOURCES = {".pyx", ".pxd"}

# What the compiled wheel does, told which floors run compiled.
RUNS = """
import sys
from otelctx.native import TWINS, compiled_floors
assert sys.argv[1:] == compiled_floors(), compiled_floors()
assert bool(sys.argv[1:]) == any(pure is not twin for pure, twin in TWINS.values()), TWINS
"""


def run(*command: object, **environment: str) -> None:
    result = subprocess.run(
        [str(word) for word in command],
        cwd="/",
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        print(result.stdout, result.stderr, sep="\n")
        sys.exit(f"failed: {' '.join(map(str, command))}")


def unpacked(folder: Path) -> Path:
    """Return the tree of the source distribution, with a compiled file in it as `make native` leaves some."""
    run(sys.executable, "-m", "build", "--sdist", "--outdir", folder, ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as sources:
        sources.extractall(folder / "source", filter="data")
    (tree,) = (folder / "source").iterdir()
    native = tree / "otelctx" / "native"
    assert not [path for path in native.iterdir() if path.suffix in COMPILED]
    (native / "core.abi3.so").write_bytes(b"left behind")
    return tree


def wheel_of(tree: Path, folder: Path, **environment: str) -> tuple[Path, set[str]]:
    """Return the wheel that is built of *tree*, and the names of its compiled floors."""
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, tree, **environment)
    (wheel,) = folder.glob("*.whl")
    files = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    assert not [file for file in files if file.suffix in SOURCES]
    return wheel, {file.name.partition(".")[0] for file in files if file.suffix in COMPILED}


def python_with(wheel: object, environment: Path) -> Path:
    """Return the Python of a new environment that has *wheel*, and what it needs."""
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel)
    return python


def check_compiled(tree: Path, folder: Path) -> None:
    """Build the compiled wheel, and try it with and without what is compiled."""
    wheel, floors = wheel_of(tree, folder / "compiled", OTELCTX_NATIVE="1")
    assert floors == {source.stem for source in (ROOT / "otelctx" / "native").glob("*.pyx")}
    assert f"-cp{sys.version_info[0]}{sys.version_info[1]}-" in wheel.name
    python = python_with(wheel, folder / "compiled-environment")
    run(python, "-c", WORKS[""] + RUNS, *sorted(floors))
    run(python, "-c", WORKS[""] + RUNS, OTELCTX_NATIVE="0")
    print(f"{wheel.name}: works with and without {', '.join(sorted(floors))}", flush=True)


def main() -> None:
    os.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    os.environ.pop("OTELCTX_NATIVE", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = unpacked(folder)
        wheel, floors = wheel_of(tree, folder / "pure")
        assert (wheel.name.partition("-py3")[2], floors) == ("-none-any.whl", set())
        if IS_POSSIBLE:
            check_compiled(tree, folder)
        for extra, code in WORKS.items():
            began = time.monotonic()
            python = python_with(f"{wheel}[{extra}]" if extra else wheel, folder / (extra or "bare"))
            run(python, "-W", "error::SyntaxWarning", "-c", code)
            print(
                f"{wheel.name} {f'[{extra}]' if extra else 'alone'}: works ({time.monotonic() - began:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
