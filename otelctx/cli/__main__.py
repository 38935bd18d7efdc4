"""
The entry point of the `otelctx` command, also as `python -m otelctx.cli`.

It imports the command line only when it is called, and turns our own errors into one line and an exit status.
"""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec

INTERRUPTED = 128 + signal.SIGINT


def main() -> None:
    """Run the command line with the arguments of this process, and exit with its status."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.stderr.write("otelctx: interrupted\n")
        sys.exit(INTERRUPTED)


def _run() -> None:
    if find_spec("typer") is None:
        sys.exit("otelctx: the command line is not installed. Install it with: pip install 'otelctx[cli]'")

    from typer.main import get_command  # noqa: PLC0415  (after the check that it is there)

    from otelctx.cli.app import app  # noqa: PLC0415
    from otelctx.cli.failures import exit_status  # noqa: PLC0415
    from otelctx.errors import OtelctxError  # noqa: PLC0415
    from otelctx.story.safe_text import clean_lines  # noqa: PLC0415

    try:
        get_command(app).main(prog_name="otelctx")
    except OtelctxError as error:
        sys.stderr.write(f"otelctx: {clean_lines(str(error))}\n")
        sys.exit(exit_status(error))


if __name__ == "__main__":
    main()
