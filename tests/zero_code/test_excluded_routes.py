"""A route that is excluded from tracing has no span, and is a request all the same; under each kind of framework."""

from __future__ import annotations

from typing import Any

import pytest

UVICORN = "uvicorn --port {port} "
GUNICORN = "gunicorn --bind 127.0.0.1:{port} --access-logfile - "


@pytest.mark.parametrize(
    ("command", "instrumentation", "access"),
    [
        (UVICORN + "starlette_app:app", "starlette", "uvicorn.access"),
        (UVICORN + "django_app:asgi", "django", "uvicorn.access"),
        (GUNICORN + "flask_app:app", "flask", "gunicorn.access"),
    ],
    ids=["starlette", "django", "flask"],
)
def test_its_id_is_echoed_and_on_its_logs(start: Any, command: str, instrumentation: str, access: str) -> None:
    service = start(
        *command.split(),
        instrumentations=(instrumentation,),
        DJANGO_SETTINGS_MODULE="django_app",
        **{f"OTEL_PYTHON_{instrumentation.upper()}_EXCLUDED_URLS": "items/1"},
    )
    user = {"baggage": "user_id=alice"}
    excluded = service.get("/items/1", {"x-request-id": "excluded", **user})
    traced = service.get("/items/2", {"x-request-id": "traced", **user})
    service.stop()

    assert (excluded.header("x-request-id"), traced.header("x-request-id")) == ("excluded", "traced")
    assert [span["request_id"] for span in service.spans()] == ["traced"]
    for request_id in ("excluded", "traced"):
        logs = service.logs(request_id=request_id)
        assert {log["scope"] for log in logs} == {"app", access}
        assert {log["user_id"] for log in logs} == {"alice"}
        assert all(bool(log["trace_id"]) == (request_id == "traced") for log in logs)
