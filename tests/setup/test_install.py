"""Installation: once, by any of several hooks, and taken away again without a trace."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.bare_environment import bare_environment

PREAMBLE = """
import json, logging, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from otelctx.setup import install

def patched():
    import flask.app, gunicorn.glogging, hypercorn.app_wrappers, uvicorn.config, uvicorn.server, werkzeug.serving
    import django.core.handlers.wsgi, granian.server.mp
    return [
        logging.Logger.makeRecord, logging.Logger.callHandlers, threading.Thread.start, ThreadPoolExecutor.submit,
        ProcessPoolExecutor.submit, flask.app.Flask.__call__, gunicorn.glogging.Logger.access,
        hypercorn.app_wrappers.ASGIWrapper.__init__, uvicorn.config.Config.load, uvicorn.server.Server.capture_signals,
        werkzeug.serving.WSGIRequestHandler.log, django.core.handlers.wsgi.WSGIHandler.__call__,
        granian.server.mp._asgi_call_wrap, get_global_textmap(),
    ]

def same(one, other):
    return [a is b for a, b in zip(one, other, strict=True)]
"""


def run(script: str, folder: Path, **environment: str) -> Any:
    """Return what *script* prints last, as JSON, from a process of its own."""
    kept = bare_environment()
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=folder,
        env=kept | environment,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


class TestReversible:
    @pytest.mark.parametrize("imported", ["before", "after"])
    def test_uninstalling_puts_the_very_same_objects_back(self, tmp_path: Path, imported: str) -> None:
        script = """
        if {before}:
            before = patched()
            install.install(); install.install()
        else:
            install.install(); install.install()
            patched()
            install.uninstall()
            before = patched()
            install.install()
        during = patched()
        install.uninstall(); install.uninstall()
        after = patched()
        print(json.dumps([same(before, during), same(before, after)]))
        """
        changed, restored = run(script.format(before=imported == "before"), tmp_path)
        assert not any(changed)
        assert all(restored)

    def test_it_can_be_installed_again(self, tmp_path: Path) -> None:
        script = """
        import otelctx
        seen = []
        for _ in range(3):
            install.install()
            with otelctx.request(user_id="alice"), ThreadPoolExecutor(1) as pool:
                record = logging.getLogger("x").makeRecord("x", 20, "", 0, "", (), None)
                seen.append([pool.submit(otelctx.get, "user_id").result(), record.user_id])
            install.uninstall()
        print(json.dumps(seen))
        """
        assert run(script, tmp_path) == [["alice", "alice"]] * 3

    def test_installing_imports_no_framework_and_no_server(self, tmp_path: Path) -> None:
        script = """
        import sys
        install.install()
        names = ("uvicorn", "hypercorn", "granian", "gunicorn", "werkzeug", "flask", "django", "fastapi", "starlette")
        print(json.dumps([name for name in names if name in sys.modules]))
        """
        assert run(script, tmp_path) == []


class TestLoaded:
    def test_after_set_up_no_verb_is_loaded_any_more_so_a_signal_handler_may_use_all(self, tmp_path: Path) -> None:
        script = """
        import signal, sys
        import otelctx
        install.install()
        found = []

        def handle(*_):
            loaded = {*sys.modules}
            otelctx.set(user_id="alice")
            found.append(otelctx.get("user_id"))
            for name in otelctx.__all__:
                getattr(otelctx, name)
            found.append(sorted({*sys.modules} - loaded))

        signal.signal(signal.SIGTERM, handle)
        signal.raise_signal(signal.SIGTERM)
        print(json.dumps(found))
        """
        assert run(script, tmp_path) == ["alice", []]


class TestPropagator:
    def test_what_somebody_sets_is_kept_and_opens_requests(self, tmp_path: Path) -> None:
        script = """
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        import otelctx
        theirs = TraceContextTextMapPropagator()
        set_global_textmap(theirs)
        install.install()
        headers = {}
        context = get_global_textmap().extract({"baggage": "user_id=alice"})
        get_global_textmap().inject(headers, context)
        fields = sorted(get_global_textmap().fields)
        install.uninstall()
        print(json.dumps([headers, fields, get_global_textmap() is theirs]))
        """
        assert run(script, tmp_path) == [{}, ["traceparent", "tracestate"], True]

    @pytest.mark.parametrize("ours_first", [True, False])
    def test_what_is_named_beside_ours_passes_the_inbound_policy(self, tmp_path: Path, ours_first: bool) -> None:
        script = f"""
        from opentelemetry.baggage.propagation import W3CBaggagePropagator
        from opentelemetry.propagators.composite import CompositePropagator
        import otelctx
        from otelctx.propagation.propagator import OtelctxPropagator

        class Other(W3CBaggagePropagator):
            fields = {{"baggage", "x-other"}}

        both = [OtelctxPropagator(), Other()]
        theirs = CompositePropagator(both if {ours_first} else both[::-1])
        set_global_textmap(theirs)
        install.install()
        found = []
        for peer in ("203.0.113.5", "10.0.0.1"):
            with otelctx.request(carrier={{"baggage": "user_id=alice"}}, peer=peer):
                found.append(otelctx.get("user_id"))
        found.append("x-other" in get_global_textmap().fields)
        install.uninstall()
        print(json.dumps([*found, get_global_textmap() is theirs]))
        """
        assert run(script, tmp_path) == [None, "alice", True, True]


class TestProviders:
    def test_the_meter_provider_counts_what_is_reported_once(self, tmp_path: Path) -> None:
        script = """
        import otelctx
        from opentelemetry.metrics import set_meter_provider
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        reader = InMemoryMetricReader()
        set_meter_provider(MeterProvider([reader]))
        install.install(); install.install()
        otelctx.extract({"baggage": "not valid"})
        scopes = reader.get_metrics_data().resource_metrics[0].scope_metrics
        print(json.dumps([
            [metric.name, point.value, dict(point.attributes)]
            for scope in scopes for metric in scope.metrics for point in metric.data.data_points
        ]))
        """
        assert run(script, tmp_path) == [["otelctx.reports", 1, {"otelctx.report.kind": "baggage.bad_member"}]]


class TestInstrumentor:
    def test_it_installs_and_uninstalls(self, tmp_path: Path) -> None:
        script = """
        from otelctx.setup.instrumentor import OtelctxInstrumentor
        before = patched()
        OtelctxInstrumentor().instrument()
        during = patched()
        OtelctxInstrumentor().uninstrument()
        print(json.dumps([any(same(before, during)), all(same(before, patched()))]))
        """
        assert run(script, tmp_path) == [False, True]

    def test_a_wrong_configuration_is_an_error_where_somebody_asked_for_it(self, tmp_path: Path) -> None:
        script = """
        from otelctx import ConfigError
        from otelctx.setup.instrumentor import OtelctxInstrumentor
        try:
            OtelctxInstrumentor().instrument()
        except ConfigError as error:
            print(json.dumps(str(error)))
        """
        assert "OTELCTX_STRICT" in run(script, tmp_path, OTELCTX_STRICT="perhaps")


class TestHook:
    """The pre-instrument hook, which must never raise: that would end all instrumentation."""

    def test_a_wrong_configuration_is_one_line_and_the_rest_is_installed(self, tmp_path: Path) -> None:
        script = """
        said = []
        class Kept(logging.Handler):
            def emit(self, record):
                said.append([record.levelname, record.getMessage(), record.exc_info is not None])
        logging.getLogger("otelctx").addHandler(Kept())
        before = patched()
        install.pre_instrument(); install.pre_instrument()
        print(json.dumps([said, any(same(before, patched()))]))
        """
        said, untouched = run(script, tmp_path, OTELCTX_STRICT="perhaps")
        ((level, message, traceback),) = said
        assert (level, traceback, untouched) == ("ERROR", False, False)
        assert "OTELCTX_STRICT" in message

    @pytest.mark.parametrize("value", ["false", "False", " FALSE "])
    def test_switched_off_it_does_nothing(self, tmp_path: Path, value: str) -> None:
        script = """
        before = patched()
        install.pre_instrument()
        print(json.dumps(all(same(before, patched()))))
        """
        assert run(script, tmp_path, OTELCTX_ENABLED=value, OTELCTX_STRICT="perhaps") is True
