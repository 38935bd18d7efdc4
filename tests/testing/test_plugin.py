"""The plugin of pytest, in test runs of its own."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)


@pytest.fixture(autouse=True)
def _only_this_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def outcomes(pytester: pytest.Pytester, test: str, ini: str = "") -> pytest.RunResult:
    """Run *test* in a process of its own."""
    pytester.makepyfile(test)
    pytester.makeini(f"[pytest]\n{ini}\n")
    return pytester.runpytest_subprocess("-p", "otelctx.testing.plugin", "-p", "no:cacheprovider")


LEAK = """
    import threading
    import otelctx

    def test_leak({fixture}):
        go = threading.Event()
        thread = threading.Thread(target=go.wait)
        carrier = otelctx.snapshot()
        request = otelctx.request()
        request.__enter__()
        thread.start()
        request.__exit__(ValueError, ValueError(), None)
        go.set()
        thread.join()

    def test_after():
        pass
"""

LOSS = """
    import logging
    import threading
    from contextvars import Context
    import otelctx

    def test_loss({fixture}):
        with otelctx.request():
            thread = threading.Thread(target=lambda: Context().run(logging.warning, "lost"))
            thread.start()
            thread.join()

    def test_after():
        pass
"""


class TestDetect:
    """`otelctx_detect` fails a test whose work outlives or loses its request."""

    @pytest.mark.parametrize(("test", "error"), [(LEAK, "LeakError"), (LOSS, "LossError")])
    def test_that_test_fails_and_no_other(self, pytester: pytest.Pytester, test: str, error: str) -> None:
        result = outcomes(pytester, test.format(fixture="otelctx_detect"))
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines([f"*{error}: *test_that_test_fails_and_no_other.py:*"])

    @pytest.mark.parametrize("test", [LEAK, LOSS])
    def test_without_it_nobody_looks(self, pytester: pytest.Pytester, test: str) -> None:
        outcomes(pytester, test.format(fixture="")).assert_outcomes(passed=2)

    @pytest.mark.parametrize("test", [LEAK, LOSS])
    def test_a_setting_uses_it_in_every_test(self, pytester: pytest.Pytester, test: str) -> None:
        result = outcomes(pytester, test.format(fixture=""), ini="otelctx_detect = true")
        result.assert_outcomes(passed=1, failed=1)

    def test_a_test_that_fails_by_itself_says_so(self, pytester: pytest.Pytester) -> None:
        result = outcomes(
            pytester, LOSS.format(fixture="otelctx_detect").replace("thread.join()", "thread.join(); 1/0")
        )
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*ZeroDivisionError*"])

    def test_clean_work_passes(self, pytester: pytest.Pytester) -> None:
        result = outcomes(
            pytester,
            """
            import logging
            from concurrent.futures import ThreadPoolExecutor
            import otelctx

            def test_pool(otelctx_detect):
                with otelctx.request(user_id="alice"), ThreadPoolExecutor(1) as pool:
                    pool.submit(logging.warning, "here").result()
            """,
        )
        result.assert_outcomes(passed=1)


CAPTURE = """
    import logging
    import otelctx
    from opentelemetry import trace

    def call(user):
        headers = {}
        with otelctx.request(user_id=user), trace.get_tracer("t").start_as_current_span("work") as span:
            otelctx.set(step="charge")
            logging.warning("charged")
            otelctx.inject(headers, destination="http://localhost/")
        return headers

    def test_one(otelctx_capture):
        headers = call("alice")
        [span], [record] = otelctx_capture.spans, otelctx_capture.logs
        assert ("work", "alice") == (span.name, span.attributes["user.id"])
        assert ("charged", "alice", "charge") == (record.getMessage(), record.user_id, record.step)
        assert [headers] == otelctx_capture.outgoing
        assert "traceparent" in headers

    def test_two_sees_nothing_of_it(otelctx_capture):
        assert ([], [], []) == (otelctx_capture.spans, otelctx_capture.logs, otelctx_capture.outgoing)
        call("bob")
        assert ["bob"] == [record.user_id for record in otelctx_capture.logs]

    def test_three_finds_nothing_installed():
        from otelctx.setup import install
        assert not install.is_installed()
"""

SERVING = """
    from contextlib import contextmanager
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.seen.append({name.lower(): text for name, text in self.headers.items()})
            there = self.path == "/"
            self.send_response(307 if there else 200)
            if there:
                self.send_header("location", "/further")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    @contextmanager
    def served():
        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            server.seen = []
            Thread(target=server.serve_forever).start()
            yield f"http://127.0.0.1:{server.server_port}/", server.seen
            server.shutdown()
"""

# How it follows a redirect, and OpenTelemetry's instrumentors of it and of what it uses.
CLIENTS = {
    "httpx": {"call": "httpx.get(url, follow_redirects=True)", "kinds": "httpx.HTTPXClientInstrumentor"},
    "requests": {
        "call": "requests.get(url)",
        "kinds": "requests.RequestsInstrumentor urllib3.URLLib3Instrumentor",
    },
    "urllib": {
        "call": "urllib.request.urlopen(url).close()",
        "kinds": "urllib.URLLibInstrumentor",
    },
}

CALLING = """
    from importlib import import_module
    import urllib.request
    import httpx
    import requests
    import otelctx
    from opentelemetry import trace
    from serving import served

    # The first one imports trio, which starts a program; that would be an outgoing call as well.
    httpx.Client().close()

    def instrumentors():
        for kind in {kinds!r}.split():
            module, name = kind.split(".")
            yield getattr(import_module("opentelemetry.instrumentation." + module), name)()

    def test_calls(otelctx_capture):
        if {instrumented}:
            for instrumentor in instrumentors():
                instrumentor.instrument()
        with served() as (url, seen), otelctx.request(user_id="alice"):
            with trace.get_tracer("t").start_as_current_span("work"):
                {call}
        names = {{"traceparent", "baggage", "x-request-id"}}
        assert [{{name: headers[name] for name in names}} for headers in seen] == otelctx_capture.outgoing
        assert ["alice"] * 2 == [baggage["user_id"] for baggage in otelctx_capture.baggage]
"""


class TestCapture:
    """`otelctx_capture` shows what a test has caused."""

    def test_spans_logs_and_headers_of_this_test(self, pytester: pytest.Pytester) -> None:
        outcomes(pytester, CAPTURE).assert_outcomes(passed=3)

    def test_baggage_is_decoded(self, pytester: pytest.Pytester) -> None:
        result = outcomes(
            pytester,
            """
            import otelctx

            def test_baggage(otelctx_capture):
                with otelctx.request(user_id="Jürgen"):
                    otelctx.inject({}, destination="http://localhost/")
                assert "Jürgen" == otelctx_capture.baggage[0]["user_id"]
            """,
        )
        result.assert_outcomes(passed=1)

    @pytest.mark.parametrize("instrumented", [False, True], ids=["by itself", "instrumented"])
    @pytest.mark.parametrize("client", CLIENTS)
    def test_each_call_of_a_client_is_there_once_as_it_left(
        self, client: str, instrumented: bool, pytester: pytest.Pytester
    ) -> None:
        pytester.makepyfile(serving=SERVING)
        result = outcomes(pytester, CALLING.format(**CLIENTS[client], instrumented=instrumented))
        result.assert_outcomes(passed=1)
