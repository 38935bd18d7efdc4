"""
Deferred commands: known by name and summary, imported when they are run.

Listing them imports none of them, so `otelctx --help` is quick and needs no extra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from importlib import import_module
from typing import Any, ClassVar, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from otelctx.cli.failures import MissingExtraError

Click: TypeAlias = Any  # the parser's own types: newer versions of typer bring a copy of click, older ones import it


@dataclass(frozen=True)
class Deferred:
    """
    Where a command is.

    *target* is `module:function`; *extra* is what to install when an import of that module is missing; *group* is the
    command that it is a subcommand of, if any; *usage* and *settings* are for the parser.
    """

    name: str
    summary: str
    target: str
    extra: str
    group: str = ""
    usage: str = "[OPTIONS]"
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def load(self) -> Click:
        """
        Import the command.

        Raises:
            MissingExtraError: a package of the extra is not installed.
        """
        module_name, _, function_name = self.target.partition(":")
        with self._extra_named():
            function: Callable[..., Any] = getattr(import_module(module_name), function_name)

        @wraps(function)
        def command(*arguments: Any, **options: Any) -> Any:
            with self._extra_named():  # it may import more when it runs
                return function(*arguments, **options)

        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        settings = dict(self.settings)
        single.command(self.name, context_settings=settings, options_metavar=self.usage)(command)
        return get_command(single)

    @contextmanager
    def _extra_named(self) -> Iterator[None]:
        try:
            yield
        except ModuleNotFoundError as error:
            missing = error.name or "?"
            if missing.partition(".")[0] == "otelctx":
                raise
            raise MissingExtraError(f"{self.group} {self.name}".strip(), self.extra, missing) from error


class DeferredCommand(TyperCommand):
    """Stands for a command in lists, and becomes it when it is run or completed."""

    def __init__(self, deferred: Deferred) -> None:
        """Know *deferred* by its name and summary."""
        super().__init__(deferred.name, short_help=deferred.summary, rich_markup_mode=None)
        self._deferred = deferred

    def make_context(self, info_name: str | None, args: list[str], parent: Click = None, **extra: Any) -> Click:
        """Import the command and parse its arguments."""
        return self._deferred.load().make_context(info_name, args, parent=parent, **extra)


class DeferredGroup(TyperGroup):
    """A group whose commands are those of the class attributes `deferred` and `groups`, in this order."""

    deferred: ClassVar[Sequence[Deferred]] = ()
    groups: ClassVar[Sequence[typer.Typer]] = ()

    def __init__(self, **attributes: Any) -> None:
        """Add the commands that `deferred` names, and `groups`."""
        super().__init__(**attributes)
        for command in self.deferred:
            self.add_command(DeferredCommand(command))
        for group in self.groups:
            self.add_command(get_group(group))
