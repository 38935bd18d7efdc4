"""Browsers: rebound names and other origins get 403, our own page works."""

from __future__ import annotations

import re

import httpx
import pytest


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:4318", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:4318", 200),
        ("192.168.0.7", 200),
        ("collector.localhost", 200),
        ("evil.example", 403),
        ("evil.example:4318", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("user@localhost", 403),
        ("localhost/evil.example", 403),
        ("", 403),
    ],
)
def test_host_header(shared, host, status):
    assert shared.client.get("/api/services", headers={"host": host}).status_code == status


def test_a_collector_on_the_network_is_known_by_any_name(start):
    running = start(host="0.0.0.0")
    assert running.client.get("/healthz", headers={"host": "collector:4318"}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://evil.example", 403), ("null", 403), ("https://localhost", 403), ("http://localhost:3000", 403)],
)
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
def test_posts_of_other_origins(shared, path, origin, status):
    headers = {"origin": origin, "host": "localhost:4318", "content-type": "application/json"}
    assert shared.client.post(path, content=b"{}", headers=headers).status_code == status


def test_a_post_of_our_own_origin(shared):
    headers = {"origin": shared.url, "content-type": "application/json"}
    assert shared.client.post("/v1/traces", content=b"{}", headers=headers).status_code == 200


def test_no_answer_may_be_read_by_other_origins(shared):
    answer = shared.client.get("/api/services", headers={"origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]


class TestPage:
    """The page at /."""

    def test_it_loads_nothing_and_its_policy_forbids_it(self, shared):
        answer = shared.get("/")
        policy = answer.headers["content-security-policy"]
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy
        assert not re.search(r"""(src|href)=["'](?!data:)""", answer.text)
        assert "http://" not in answer.text.replace("xmlns='http://www.w3.org/2000/svg'", "")

    def test_it_never_makes_markup_from_data(self, shared):
        page = shared.get("/").text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\bstyle=|\bon\w+=", page)

    def test_other_methods_are_405(self, shared):
        assert httpx.post(f"{shared.url}/").status_code == 405
