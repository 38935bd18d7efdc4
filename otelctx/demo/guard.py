"""
The guard of a process group: a process that leads the group and ends it when its starter is gone.

Whoever starts the guard holds the write end of its standard input. The kernel closes that end when the holder dies,
also by SIGKILL, and then every process of the group is killed, the worker processes of the services included.
It is run as a script, without site packages, so that it costs milliseconds.
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Wait for a byte or the end of standard input, then kill the own process group."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
