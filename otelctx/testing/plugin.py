"""
The plugin of pytest: a test fails that loses or leaks a request, and can see what telemetry it has caused.

Nothing is imported or installed before a test asks for one of its fixtures.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from otelctx.testing.capture import Capture

_DETECT = "otelctx_detect"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting that uses `otelctx_detect` in every test."""
    parser.addini(_DETECT, "find leaks and losses of requests in every test", type="bool", default=False)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Use `otelctx_detect` where the setting says so."""
    if item.config.getini(_DETECT) and isinstance(item, pytest.Function) and _DETECT not in item.fixturenames:
        item.fixturenames.insert(0, _DETECT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Fail a test with `otelctx_detect` for what was found during it, unless it has failed already."""
    yield
    if _DETECT in getattr(item, "fixturenames", ()):
        from otelctx.detect import findings  # noqa: PLC0415 - see above

        findings.check()


@pytest.fixture
def otelctx_installed() -> Iterator[None]:
    """Install otelctx as `otelctx run` does, and take it away again unless it was there before."""
    from otelctx.setup import install  # noqa: PLC0415 - see above

    was_installed = install.is_installed()
    install.install()
    yield
    if not was_installed:
        install.uninstall()


@pytest.fixture
def otelctx_detect(otelctx_installed: None) -> Iterator[None]:  # noqa: ARG001 - what it needs
    """Fail the test if work outlives its request, or goes on outside of the request that has started it."""
    from otelctx.detect import switch  # noqa: PLC0415 - see above

    switch.install("error")
    yield
    switch.uninstall()


@pytest.fixture
def otelctx_capture(otelctx_installed: None) -> Iterator[Capture]:  # noqa: ARG001 - what it needs
    """Capture the spans, logs, baggage and outgoing headers of the test."""
    from otelctx.setup import providers  # noqa: PLC0415 - see above
    from otelctx.testing.capture import capturing  # noqa: PLC0415 - see above

    with capturing() as capture:
        # The provider may be new.
        providers.attach()
        yield capture
