"""
OpenTelemetry's instrumentations of libraries, each loaded when the application imports its library, and only then.

Many are installed and few are used, and loading one imports all of its library. What is known below to change nothing
but the library that it is of waits for that; everything else is loaded at once, as OpenTelemetry does.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import EntryPoint
from itertools import count
from types import ModuleType
from typing import Final, NamedTuple, TypeAlias

from opentelemetry.instrumentation.dependencies import DependencyConflictError
from opentelemetry.util._importlib_metadata import entry_points

from otelctx.boundaries.import_hook import when_imported
from otelctx.setup.environment_variables import is_enabled

Load: TypeAlias = Callable[[], None]

_PACKAGE: Final = "opentelemetry.instrumentation."

# The package whose first import comes before every use of what is instrumented. All of these were read: they wrap
# functions of that package, and start nothing. `system_metrics`, which measures without being asked for, is not here.
_PACKAGE_OF: Final[Mapping[str, str]] = {
    **{
        name: name
        for name in (
            *("aiobotocore", "aiokafka", "aiopg", "asyncclick", "asyncpg", "boto3", "botocore", "cassandra", "celery"),
            *("click", "confluent_kafka", "django", "falcon", "fastapi", "flask", "httpx", "httpx2", "jinja2", "kafka"),
            *("pika", "psycopg", "psycopg2", "pymemcache", "pymongo", "pymssql", "pymysql", "pyramid"),
            *("redis", "remoulade", "requests", "sqlalchemy", "starlette", "tornado", "urllib3"),
        )
    },
    **dict.fromkeys(("grpc_client", "grpc_server", "grpc_aio_client", "grpc_aio_server"), "grpc"),
    **dict.fromkeys(("aiohttp-client", "aiohttp-server"), "aiohttp"),
    "aio-pika": "aio_pika",
    "mysql": "mysql.connector",  # beside other packages of MySQL's
    "mysqlclient": "MySQLdb",
}

# Where OpenTelemetry says what became of an instrumentation.
_logger = logging.getLogger(f"{_PACKAGE}auto_instrumentation._load")


def awaited_library(entry_point: EntryPoint, environ: Mapping[str, str]) -> str | None:
    """Return the package whose import the instrumentation at *entry_point* can wait for; None if it cannot wait."""
    library = _PACKAGE_OF.get(entry_point.name) if entry_point.module.startswith(_PACKAGE) else None
    if library is None or library in sys.modules or not is_enabled(environ):
        return None
    # It reads the settings, and these may be what imports Django: then they would be read before they are complete.
    if library == "django" and "DJANGO_SETTINGS_MODULE" in environ:
        return None
    # Such a hook may count on it that everything is instrumented.
    if entry_points(group="opentelemetry_post_instrument"):
        return None
    return library


class _Waiting(NamedTuple):
    entry_point: EntryPoint
    library: str
    load: Load


class Instrumentations:
    """
    The instrumentations that wait.

    While one of their libraries imports another, both wait for the end of the outer import, and are loaded in
    OpenTelemetry's order. Else a framework would derive its classes from those of an instrumented one, and count twice.
    """

    def __init__(self) -> None:
        """Wait for nothing yet."""
        # In OpenTelemetry's order. No lock: what has to be one operation is one of a dict or a set.
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = count()
        self._under_way: set[str] = set()
        self._here = _Here()

    def wait(self, entry_point: EntryPoint, library: str, load: Load) -> None:
        """Call *load*, which loads what is at *entry_point*, when *library* is imported."""
        self._waiting[next(self._numbers)] = _Waiting(entry_point, library, load)
        # An application may also import the instrumentation first, which then imports the library.
        for name in (library, entry_point.module):
            when_imported(name, partial(self._importing, name))

    @contextmanager
    def _importing(self, name: str, module: ModuleType) -> Iterator[None]:  # noqa: ARG002 - the interface
        self._under_way.add(name)
        self._here.depth += 1
        try:
            yield
            self._here.imported.add(name)
        finally:
            self._here.depth -= 1
            self._under_way.discard(name)
            if self._here.depth == 0:
                self._load_imported()

    def _load_imported(self) -> None:
        # What is imported meanwhile waits for its turn.
        self._here.depth += 1
        try:
            while self._here.imported:
                names, self._here.imported = self._here.imported, set()
                for entry_point, load in self._claim(names):
                    _load(entry_point, load)
        finally:
            self._here.depth -= 1

    def _claim(self, names: set[str]) -> Iterator[tuple[EntryPoint, Load]]:
        for number, (entry_point, library, load) in self._waiting.copy().items():
            own = {library, entry_point.module}
            # What another thread is at, that one loads.
            is_imported = library in sys.modules and not own & self._under_way
            if own & names and is_imported and self._waiting.pop(number, None) is not None:
                yield entry_point, load


class _Here(threading.local):
    """How deep in imports that something waits for this thread is, and which have ended since the outermost began."""

    def __init__(self) -> None:
        self.depth = 0
        self.imported: set[str] = set()


def _load(entry_point: EntryPoint, load: Load) -> None:
    """Load what is at *entry_point*, and say what OpenTelemetry says of it; the import goes on whatever happens."""
    try:
        load()
        # That it is instrumented OpenTelemetry has said already, when this began to wait.
        _logger.debug("Loaded the instrumentation %s, for its library is imported", entry_point.name)
    except DependencyConflictError as error:
        _logger.error("Skipping instrumentation %s: %s", entry_point.name, error.conflict)  # noqa: TRY400 - it says all
    except ModuleNotFoundError as error:
        _logger.debug("Skipping instrumentation %s: %s", entry_point.name, error.msg)
    except ImportError:
        _logger.exception("Importing of %s failed, skipping it", entry_point.name)
    except Exception:
        _logger.exception("Instrumenting of %s failed", entry_point.name)


_INSTRUMENTATIONS: Final = Instrumentations()
wait = _INSTRUMENTATIONS.wait
