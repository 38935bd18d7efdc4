"""
Failures of a command, each with the exit status that scripts can rely on.

One line on stderr says what happened and what to do; a traceback means a bug of ours.
"""

from __future__ import annotations

from otelctx.errors import CollectorError, ConfigError, OtelctxError

NO_MATCH = 1
USAGE = 2  # as the command line parser has it
NO_COLLECTOR = 3
NOT_EXECUTABLE = 126  # POSIX.1-2024, shell command language, 2.8.2
NOT_FOUND = 127


class CommandError(OtelctxError):
    """A command cannot do what was asked; *exit_status* says why."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        """Keep *message* for stderr and *exit_status* for the shell."""
        super().__init__(message)
        self.exit_status = exit_status


class MissingExtraError(CommandError):
    """A command needs packages that are not installed."""

    def __init__(self, command: str, extra: str, module: str) -> None:
        """Name the *extra* that brings *module* to *command*."""
        super().__init__(
            f"'otelctx {command}' needs the package '{module}', which is not installed. "
            f"Install it with: pip install 'otelctx[{extra}]'"
        )


def exit_status(error: OtelctxError) -> int:
    """Return the exit status of a command that ended with *error*."""
    if isinstance(error, CommandError):
        return error.exit_status
    if isinstance(error, ConfigError):
        return USAGE
    return NO_COLLECTOR if isinstance(error, CollectorError) else 1
