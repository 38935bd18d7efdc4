"""The WSGI edge by itself: one request for each call and its body, and a thread that is clean afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import Tracer

import otelctx
from otelctx.integrations.wsgi import OtelctxMiddleware, in_request_of
from otelctx.propagation.edge import opened_at, without_span


class Served:
    """One call of an application, as a server makes it."""

    def __init__(self, app: Any, **environ: str) -> None:
        self.environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", **environ}
        self.headers: list[tuple[str, str]] = []
        self.arguments: tuple[Any, ...] = ()
        self.body = app(self.environ, self._start)

    def _start(self, status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
        self.headers, self.arguments = headers, rest

    def echoed(self) -> list[str]:
        return [value for name, value in self.headers if name.lower() == "x-request-id"]


def user_id() -> bytes:
    return str(otelctx.get("user_id")).encode()


def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [str(otelctx.get("request_id")).encode()]


class TestRequest:
    def test_the_request_id_of_the_caller_is_adopted_and_echoed(self) -> None:
        served = Served(OtelctxMiddleware(answer), HTTP_X_REQUEST_ID="theirs")
        assert (served.body, served.echoed()) == ([b"theirs"], ["theirs"])

    @pytest.mark.parametrize("environ", [{}, {"HTTP_X_REQUEST_ID": "not valid"}])
    def test_a_wrong_or_missing_one_is_generated(self, environ: dict[str, str]) -> None:
        served = Served(OtelctxMiddleware(answer), **environ)
        assert served.body == [served.echoed()[0].encode()]
        assert len(served.echoed()[0]) == 36

    def test_a_header_that_the_application_sends_itself_stays(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [("X-Request-ID", "its own")])
            return []

        assert Served(OtelctxMiddleware(app)).headers == [("X-Request-ID", "its own")]

    def test_exc_info_is_handed_on_only_when_it_was_given(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            start_response("500 Error", [], environ["told"]) if environ["told"] else start_response("200 OK", [])
            return []

        assert Served(OtelctxMiddleware(app), told="").arguments == ()
        assert Served(OtelctxMiddleware(app), told="what happened").arguments == ("what happened",)

    def test_an_application_within_another_shares_its_request(self) -> None:
        served = Served(OtelctxMiddleware(OtelctxMiddleware(answer)))
        assert served.body == [served.echoed()[0].encode()]

    def test_an_error_goes_on_to_the_server(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            raise LookupError("theirs")

        before = get_current()
        with pytest.raises(LookupError, match="theirs"):
            Served(OtelctxMiddleware(app))
        assert get_current() is before


class TestBody:
    """The body is produced after the application has returned, and belongs to the request to its end."""

    def test_each_step_and_the_end_run_in_the_request(self) -> None:
        closed: list[bytes] = []

        class Body:
            def __iter__(self) -> Iterator[bytes]:
                yield user_id()
                otelctx.set(user_id="bob")
                yield user_id()

            def close(self) -> None:
                closed.append(user_id())

        def app(environ: Any, start_response: Any) -> Iterable[bytes]:
            otelctx.set(user_id="alice")
            return Body()

        body = Served(OtelctxMiddleware(app)).body
        seen = []
        for chunk in body:
            seen.append(chunk)
            assert otelctx.get("user_id") is None
        body.close()
        assert (seen, closed) == ([b"alice", b"bob"], [b"bob"])

    def test_a_generator_sees_the_request(self) -> None:
        def app(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield str(otelctx.get("request_id")).encode()

        served = Served(OtelctxMiddleware(app), HTTP_X_REQUEST_ID="theirs")
        assert [*served.body] == [b"theirs"]
        assert served.echoed() == ["theirs"]
        served.body.close()

    def test_a_list_and_a_file_stay_what_a_server_knows(self) -> None:
        class FileWrapper(list[bytes]):
            pass

        parts = FileWrapper([b"x"])
        served = Served(OtelctxMiddleware(lambda environ, start: parts), **{"wsgi.file_wrapper": FileWrapper})  # type: ignore[arg-type]
        assert served.body is parts


class TestThread:
    def test_it_is_clean_afterwards_also_of_a_span_that_was_left_open(self, tracer: Tracer) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            otelctx.bind(step="left").__enter__()
            tracer.start_as_current_span("left").__enter__()
            otelctx.set(user_id="alice")
            return []

        before = get_current()
        Served(OtelctxMiddleware(app))
        assert get_current() is before
        assert otelctx.get("user_id") is None


class TestInRequestOf:
    def test_a_server_logs_in_the_request_it_tells_of(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            otelctx.set(user_id="alice")
            return []

        served = Served(OtelctxMiddleware(app))
        assert in_request_of(served.environ, user_id) == b"alice"
        assert otelctx.get("user_id") is None

    @pytest.mark.parametrize("environ", [None, {}, "no environ"])
    def test_what_was_not_served_is_called_as_it_is(self, environ: object) -> None:
        assert in_request_of(environ, user_id) == b"None"


class TestWhatServersAndAdaptersDo:
    def test_a_file_wrapper_may_be_any_callable(self) -> None:
        def streaming(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield user_id()

        served = Served(OtelctxMiddleware(streaming), **{"wsgi.file_wrapper": lambda file, size: file})
        assert list(served.body) == [b"None"]

    def test_an_application_that_an_asgi_one_serves_continues_its_request(self) -> None:
        def app(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            otelctx.set(user_id="alice")
            return [str(otelctx.get("request_id")).encode()]

        _, opened = opened_at({"type": "http"}, otelctx.extract({"x-request-id": "outer"}))
        token = attach(without_span(opened))
        served = Served(OtelctxMiddleware(app), HTTP_X_REQUEST_ID="theirs")
        assert (served.body, otelctx.get("user_id")) == ([b"outer"], "alice")
        detach(token)

    def test_a_server_in_a_program_that_is_in_a_request_opens_its_own(self) -> None:
        with otelctx.request(request_id="the program's"):
            assert Served(OtelctxMiddleware(answer), HTTP_X_REQUEST_ID="theirs").body == [b"theirs"]

    def test_a_body_that_cannot_be_iterated_is_closed_all_the_same(self) -> None:
        class Broken:
            closed = False

            def __iter__(self) -> Iterator[bytes]:
                raise RuntimeError("no")

            def close(self) -> None:
                Broken.closed = True

        served = Served(OtelctxMiddleware(lambda environ, start: Broken()))
        with pytest.raises(RuntimeError, match="no"):
            next(iter(served.body))
        served.body.close()
        assert Broken.closed
