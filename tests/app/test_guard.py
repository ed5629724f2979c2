"""Requests that a local notebook server refuses are refused, and every answer has the strict headers."""

from __future__ import annotations

import pytest

from tests.app.explored import TOKEN, send
from tropica.app.guard import HEADERS
from tropica.app.serve import PortBusy, bind


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {}, 403),
        ("/?token=", {}, 403),
        ("/?token=the-toke", {}, 403),
        (f"/?token={TOKEN}", {}, 200),
        ("/api/status", {}, 403),
        ("/api/status", {"Authorization": "Bearer x"}, 403),
        (f"/api/status?token={TOKEN}", {}, 403),  # a link or a form of another site cannot send the header
        ("/api/status", {"Authorization": f"Bearer {TOKEN}"}, 200),
        (f"/?token={TOKEN}", {"Host": "evil.example"}, 421),  # DNS rebinding
        (f"/?token={TOKEN}", {"Host": "127.0.0.1:1"}, 421),
        ("/static/main.js", {"Host": "evil.example"}, 421),
        ("/api/status", {"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil.example"}, 403),
        ("/api/status", {"Authorization": f"Bearer {TOKEN}", "Origin": "null"}, 403),
        ("/static/main.js", {}, 200),
        ("/api/nothing", {"Authorization": f"Bearer {TOKEN}"}, 404),
    ],
)
def test_who_may_ask(explorer, path, headers, status):
    found, given, _ = send(explorer[1], path, **headers)
    assert found == status
    assert {name: given[name.lower()] for name in HEADERS} == HEADERS


def test_the_policy_allows_nothing_of_others(explorer):
    policy = send(explorer[1], f"/?token={TOKEN}")[1]["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not any(word in policy for word in ("unsafe", "http:", "https:", "*", "data:", "blob:"))


@pytest.mark.parametrize(
    "path",
    [
        "/static/../guard.py",
        "/static/%2e%2e/guard.py",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/",
        "/static/index.html",
        "/static/main.js%00",
    ],
)
def test_no_file_but_the_assets_is_read(explorer, path):
    status, _, body = send(explorer[1], path)
    assert status == 404
    assert b"import" not in body
    assert b"root:" not in body


def test_bodies_and_methods(explorer):
    port, key = explorer[1], f"Bearer {TOKEN}"
    assert send(port, "/api/cancel?method=minimal", "POST", Authorization=key, Content_Length="9")[0] == 413
    assert send(port, "/api/cancel?method=minimal", "POST", Authorization=key, Transfer_Encoding="chunked")[0] == 413
    assert send(port, "/api/cancel?method=minimal", Authorization=key)[0] == 405  # GET changes nothing
    assert send(port, "/api/status", "DELETE", Authorization=key)[0] == 405
    assert send(port, "/api/cancel?method=minimal", "POST")[0] == 403


def test_the_port_is_of_this_machine_and_a_busy_one_is_named(explorer):
    with pytest.raises(PortBusy, match=f"port {explorer[1]} cannot be used"):
        bind(explorer[1])
    with bind(None) as found:
        assert found.getsockname()[0] == "127.0.0.1"
