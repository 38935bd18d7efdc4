"""Loggers that end below the root: what they write is exported too, once."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from otelctx.signals import log_bridge

Exporter = InMemoryLogRecordExporter


@pytest.fixture
def exported() -> Iterator[Exporter]:
    exporter = Exporter()  # type: ignore[no-untyped-call]
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = LoggingHandler(level=logging.INFO, logger_provider=provider)
    logging.root.addHandler(handler)
    log_bridge.PATCH.install()
    yield exporter
    log_bridge.PATCH.uninstall()
    logging.root.removeHandler(handler)


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger as a server makes it: with a handler of its own, and an end."""
    logger = logging.getLogger("tests.a_server.access")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(logging.StreamHandler())
    yield logger
    logger.handlers.clear()
    logger.propagate = True
    logger.setLevel(logging.NOTSET)


def bodies(exporter: Exporter) -> list[object]:
    return [entry.log_record.body for entry in exporter.get_finished_logs()]


class TestBridge:
    def test_what_ends_below_the_root_is_exported_once(self, exported: Exporter, logger: logging.Logger) -> None:
        logger.info("hello")
        assert bodies(exported) == ["hello"]

    def test_so_is_what_a_logger_below_it_writes(self, exported: Exporter, logger: logging.Logger) -> None:
        logger.getChild("deeper").info("hello")
        assert bodies(exported) == ["hello"]

    def test_what_reaches_the_root_is_exported_once_as_before(self, exported: Exporter, logger: logging.Logger) -> None:
        logger.propagate = True
        logger.info("hello")
        assert bodies(exported) == ["hello"]

    def test_so_is_what_a_logger_writes_that_has_opentelemetrys_handler_itself(
        self, exported: Exporter, logger: logging.Logger
    ) -> None:
        logger.addHandler(logging.root.handlers[-1])
        logger.info("hello")
        assert bodies(exported) == ["hello"]

    def test_the_level_of_opentelemetrys_handler_holds(self, exported: Exporter, logger: logging.Logger) -> None:
        logger.debug("too low")
        assert bodies(exported) == []

    @pytest.mark.parametrize("handlers", [[], [logging.NullHandler()]])
    def test_what_is_written_nowhere_stays_unwritten(
        self, exported: Exporter, logger: logging.Logger, handlers: list[logging.Handler]
    ) -> None:
        logger.handlers[:] = handlers
        logger.info("hello")
        assert bodies(exported) == []

    def test_opentelemetrys_own_loggers_are_left_alone(
        self, exported: Exporter, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # By such a one its handler warns that it was called from within itself; exporting that would have no end.
        monkeypatch.setattr(logger, "name", "opentelemetry.instrumentation.logging.handler.internal")
        logger.warning("not for export")
        assert bodies(exported) == []

    def test_uninstalling_puts_the_very_same_function_back(self) -> None:
        before = logging.Logger.callHandlers
        log_bridge.PATCH.install()
        log_bridge.PATCH.install()
        assert logging.Logger.callHandlers is not before
        log_bridge.PATCH.uninstall()
        assert logging.Logger.callHandlers is before


class TestAProgramWithoutLoggingSetUp:
    CODE = """
import logging, sys
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from otelctx.signals import log_bridge
LoggingInstrumentor().instrument()
log_bridge.PATCH.install()
logging.getLogger("shop").warning("low")
logging.getLogger("shop").info("quiet")
silent = logging.getLogger("library")
silent.addHandler(logging.NullHandler())
silent.warning("a library that keeps quiet")
logging.basicConfig(format="mine %(message)s")
logging.getLogger("shop").warning("high")
"""

    def test_it_sees_its_warnings_as_python_shows_them(self) -> None:
        done = subprocess.run([sys.executable, "-c", self.CODE], capture_output=True, text=True, check=True)
        assert done.stderr == "low\nmine high\n"
