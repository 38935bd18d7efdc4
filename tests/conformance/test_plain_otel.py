"""
What plain OpenTelemetry gets wrong, shown, and what the same program gives with otelctx.

Plain is OpenTelemetry's SDK with its threading instrumentor; otelctx stands in the place of that or beside it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

MODES = ("plain", "otelctx", "both")


def in_each_mode(name: str, *expected: object) -> pytest.MarkDecorator:
    """Return what runs a test with what it expects of plain OTel, of otelctx and of both together."""
    return pytest.mark.parametrize(("mode", name), list(zip(MODES, expected, strict=True)))


def outcome(program: str, mode: str) -> Any:
    """Run one of the programs in `failures` in a process of its own, and return what it has seen."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.conformance.failures", program, mode], capture_output=True, text=True, check=False
    )
    assert 0 == ran.returncode, ran.stderr
    return json.loads(ran.stdout)


@in_each_mode("seen", "alice", "bob", "bob")
def test_done_callback_runs_in_the_request_that_added_it(mode: str, seen: object) -> None:
    """
    bob adds a callback to his own job; plain OTel calls it as alice.

    A pool's worker is started by the first submission and lives in that request's context; OTel's instrumentor
    attaches the submitter's for the job alone, and callbacks run after it.
    """
    assert seen == outcome("done_callback", mode)


@in_each_mode("seen", "alice", "bob", "bob")
def test_multiprocessing_thread_pool_runs_a_job_in_the_request_that_submitted_it(mode: str, seen: object) -> None:
    """bob's job runs as alice in plain OTel: she made the pool, and only `ThreadPoolExecutor` is instrumented."""
    assert seen == outcome("thread_pool", mode)


@in_each_mode("seen", "alice", "bob", "bob")
def test_forked_process_pool_runs_a_job_in_the_request_that_submitted_it(mode: str, seen: object) -> None:
    """bob's job runs as alice in plain OTel: the worker is a fork of the process as it was in her request."""
    assert seen == outcome("forked_process_pool", mode)


@in_each_mode("seen", "none", "mine", "mine")
def test_other_variables_of_the_application_reach_a_thread_pool(mode: str, seen: object) -> None:
    """Plain OTel carries its own Context and no other ContextVar (opentelemetry-python-contrib#1009)."""
    assert seen == outcome("other_variables", mode)


def test_plain_otel_leaves_the_span_of_an_abandoned_async_generator_current_and_logs_an_error() -> None:
    """After `break` the consumer is inside the generator's span; its end, in another context, is an error log."""
    span, complaints = outcome("abandoned_async_generator", "plain")
    assert "numbers" == span
    assert "Failed to detach context" in complaints


@pytest.mark.parametrize("mode", ["otelctx", "both"])
def test_abandoned_async_generator_leaves_nothing_behind(mode: str) -> None:
    """The very same generator: no span in the consumer, no error log."""
    assert [None, []] == outcome("abandoned_async_generator", mode)


@in_each_mode("seen", "alice", "carol", "carol")
def test_value_set_in_a_sync_dependency_is_seen_in_the_endpoint(mode: str, seen: object) -> None:
    """Plain OTel loses it: a sync dependency runs in a copy of the context, on a thread (contrib#953)."""
    assert seen == outcome("sync_dependency", mode)


@in_each_mode("seen", "alice", "carol", "carol")
def test_value_set_inside_a_span_is_there_after_it(mode: str, seen: object) -> None:
    """Plain OTel loses it: the end of the span puts the Context from before it back (opentelemetry-demo#3627)."""
    assert seen == outcome("end_of_span", mode)


@in_each_mode("seen", "alice", None, None)
def test_signal_handler_runs_in_no_request(mode: str, seen: object) -> None:
    """In plain OTel it runs as whoever is interrupted."""
    assert seen == outcome("signal_handler", mode)


@in_each_mode("carried", False, True, True)
def test_child_process_is_given_the_request_in_its_environment(mode: str, carried: object) -> None:
    """Plain OTel gives it nothing; its environment carrier is a proposal (opentelemetry-python#4609)."""
    assert carried == outcome("child_process", mode)
