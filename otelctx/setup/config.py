"""
Configuration: what the files and the environment say, checked and put together.

In a traced program nothing else reads configuration files or ``OTELCTX_`` variables. docs/configuration.md explains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from otelctx.core.fields import Field
from otelctx.core.redaction import use_keys
from otelctx.core.registry import declare
from otelctx.errors import ConfigError, FieldError
from otelctx.export.settings import SpoolSettings
from otelctx.propagation import egress, ingress, sealing
from otelctx.setup.config_files import read_files
from otelctx.setup.config_source import Source
from otelctx.setup.config_variables import read_variables

if TYPE_CHECKING:
    from otelctx.setup.config_seal import Seal


@dataclass(frozen=True)
class Settings:
    """
    What is configured.

    Attributes:
        strict: whether undeclared fields are refused.
        subprocesses: whether programs that a request starts are told of it in their environment.
        detect: what is done about leaks and losses of the context.
        fields: the declared fields; a built-in one only when its declaration changes.
        redaction_keys: what values are hashed with; the first makes hashes.
        ingress: what is believed of what comes in; None leaves that as it is.
        egress: which fields go where; None leaves that as it is.
        seal: what puts seals on what leaves, and whose are needed; None where there are none.
        export: how what cannot be delivered waits on disk, its directory None where none is named; None: not at all.
        sources: the files and variables that said something, the weakest first.
    """

    strict: bool = False
    subprocesses: bool = True
    detect: Literal["off", "warn", "error"] = "off"
    fields: tuple[Field, ...] = ()
    redaction_keys: tuple[bytes, ...] = field(default=(), repr=False)
    ingress: ingress.Ingress | None = None
    egress: egress.EgressPolicy | None = None
    seal: Seal | None = None
    export: SpoolSettings | None = field(default_factory=lambda: SpoolSettings(None))
    sources: tuple[str, ...] = ()


def load(environ: Mapping[str, str], directory: Path) -> Settings:
    """
    Read the configuration. Of two sources that give the same key, the later in this order wins.

    ``[tool.otelctx]`` of the nearest ``pyproject.toml``; the nearest ``otelctx.toml``, or the file that
    ``OTELCTX_CONFIG`` names; the section of the file that ``OTEL_CONFIG_FILE`` names; the variables.

    Args:
        environ: the environment, such as `os.environ`.
        directory: the working directory.

    Raises:
        ConfigError: with one line for each mistake: the file or variable, the key and what was expected.
    """
    problems: list[str] = []
    sources = [*read_files(environ, directory, problems), *read_variables(environ, problems)]
    settings = _settings(sources, environ, directory, problems) if sources else Settings()
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def apply(settings: Settings) -> None:
    """
    Put *settings* into force in this process. What code declares later replaces fields, one by one.

    Raises:
        ConfigError: a field contradicts one that code has declared before.
    """
    use_keys(settings.redaction_keys)
    if settings.ingress is not None:
        ingress.replace(settings.ingress)
    if settings.egress is not None:
        egress.replace(settings.egress)
    if settings.seal is not None:
        sealing.replace(settings.seal.sealer)
        ingress.replace(ingress.ingress().requiring(settings.seal.require))
    try:
        # A file that does not ask for strict mode does not end the one that code has asked for.
        declare(*settings.fields, strict=settings.strict or None)
    except FieldError as error:
        message = f"{', '.join(settings.sources)}: {error}"
        raise ConfigError(message) from error


def _settings(sources: list[Source], environ: Mapping[str, str], directory: Path, problems: list[str]) -> Settings:
    try:
        # Checking needs msgspec, which a program with nothing configured shall not pay for.
        from otelctx.setup.config_egress import build_egress  # noqa: PLC0415
        from otelctx.setup.config_export import build_export  # noqa: PLC0415
        from otelctx.setup.config_fields import build_fields  # noqa: PLC0415
        from otelctx.setup.config_ingress import build_ingress  # noqa: PLC0415
        from otelctx.setup.config_redaction import build_redaction  # noqa: PLC0415
        from otelctx.setup.config_schema import check_settings  # noqa: PLC0415
        from otelctx.setup.config_seal import build_seal  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "msgspec":
            raise
        labels = ", ".join(source.label for source in sources)
        message = f"{labels}: reading configuration needs msgspec; pip install 'otelctx[otlp]'"
        raise ConfigError(message) from error
    switches: dict[str, Any] = {}
    for source in sources:
        switches.update(check_settings(source, problems))
    fields = build_fields(sources, problems)
    return Settings(
        **switches,
        fields=fields,
        redaction_keys=build_redaction(sources, fields, directory, problems),
        ingress=build_ingress(sources, problems),
        egress=build_egress(sources, fields, problems),
        seal=build_seal(sources, environ, directory, problems),
        export=build_export(sources, directory, problems),
        sources=tuple(source.label for source in sources),
    )
