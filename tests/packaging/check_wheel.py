"""
The built wheel, tried in clean environments: bare, and with each extra alone.

Run by ``make wheel``. It needs the package registry, so it is no part of ``make test``.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
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


def run(*command: object) -> None:
    result = subprocess.run([str(word) for word in command], cwd="/", capture_output=True, text=True, check=False)
    if result.returncode:
        print(result.stdout, result.stderr, sep="\n")
        sys.exit(f"failed: {' '.join(map(str, command))}")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
        (wheel,) = Path(folder).glob("*.whl")
        os.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
        for extra, code in WORKS.items():
            began = time.monotonic()
            environment = Path(folder, extra or "bare")
            venv.create(environment, with_pip=True)
            python = environment / "bin" / "python"
            run(python, "-m", "pip", "install", "--quiet", f"{wheel}[{extra}]" if extra else wheel)
            run(python, "-W", "error::SyntaxWarning", "-c", code)
            print(
                f"{wheel.name} {f'[{extra}]' if extra else 'alone'}: works ({time.monotonic() - began:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
