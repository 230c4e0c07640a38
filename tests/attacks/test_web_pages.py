"""A page in the user's browser: DNS rebinding, other origins, forms, WebSockets from elsewhere."""

from __future__ import annotations

import time

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.attacks.stage import Stage
from tests.gateway.test_bad_input import SHAPES
from tests.gateway.world import MODELS, PROTOCOLS, path_of
from tests.simulator.streams import body_of

EVIL = "https://evil.example"
FOREIGN_HOSTS = [
    *(
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[::1",
        "",
        "192.168.1.7",
        "localhost@evil.example",
    ),
    *("evil.example:80", "169.254.169.254", "xn--lcalhost-c9a", "ｌocalhost"),
]
FOREIGN_ORIGINS = [
    *(EVIL, "null", "file://", "http://localhost.evil.example", "https://127.0.0.1.evil.example", "http://[::1", "x"),
    "chrome-extension://abcdef",
]
PATHS = (
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/admin/status",
    "/admin/live",
    "/v1/models",
    "/v1/messages",
    "/nothing",
)


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_foreign_host_reads_nothing(stage: Stage, host: str) -> None:
    at = FOREIGN_HOSTS.index(host)
    protocol = PROTOCOLS[at % 4]
    stage.set_up("gemini", rescued=False)
    head = b"GET %s HTTP/1.1\r\nhost: " + host.encode() + b"\r\nx-api-key: " + stage.daemon.key.encode()
    for path in PATHS:
        received = stage.raw(head % path.encode() + b"\r\nconnection: close\r\n\r\n")
        assert received.split(b" ", 2)[1] in (b"400", b"403"), (path, received)
        assert b"access-control" not in received.lower()
    own = {"host": host} if host.isascii() else {}
    answer = stage.world.send(
        protocol, path_of(protocol, MODELS[protocol], stream=False), body_of(protocol), headers=own
    )
    if own and host:
        assert answer.status in (400, 403) and (answer.status == 400 or SHAPES[protocol](answer.json))
        assert stage.hostile.asked == []


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_a_foreign_origin_reads_nothing_and_changes_nothing(stage: Stage, origin: str) -> None:
    stage.set_up("gemini", rescued=False)
    headers = {"origin": origin}
    for path in ("/admin/status", "/admin/live", "/metrics", "/v1/models"):
        answer = stage.http.get(path, headers=headers)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    for path in ("/admin/reload", "/admin/stop", "/admin/providers/groq/mode", "/admin/session", "/v1/messages"):
        answer = stage.http.post(path, headers={**headers, "content-type": "text/plain"}, content=b'{"mode": "off"}')
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    preflight = stage.http.options("/v1/messages", headers={**headers, "access-control-request-method": "POST"})
    assert preflight.status_code == 403 and "access-control-allow-origin" not in preflight.headers
    assert stage.daemon.process.poll() is None and stage.hostile.asked == []


@pytest.mark.parametrize("path", ["/admin/reload", "/admin/stop", "/admin/providers/groq/mode", "/v1/messages"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_without_the_key_changes_nothing(stage: Stage, path: str, kind: str) -> None:
    """A form needs no permission of another origin, and an old browser names none."""
    with httpx.Client(base_url=stage.daemon.url, trust_env=False) as browser:
        answer = browser.post(path, headers={"content-type": kind, "cookie": "bm-session=x"}, content=b'{"mode":"off"}')
    assert answer.status_code == 401 and stage.daemon.process.poll() is None


def test_allowed_origins_open_the_model_apis_alone(stage: Stage) -> None:
    stage.set_up("gemini", more=f'[server]\nwebsocket = true\nallowed_origins = ["{EVIL}"]')
    headers = {"origin": EVIL}
    assert stage.http.get("/v1/models", headers=headers).headers["access-control-allow-origin"] == EVIL
    for path in ("/admin/status", "/metrics", "/admin/live"):
        answer = stage.http.get(path, headers=headers)
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
    assert stage.http.get("/v1/models", headers={"origin": f"{EVIL}.other.example"}).status_code == 403


def test_no_path_allows_other_origins_by_itself(stage: Stage) -> None:
    stage.set_up("gemini")
    for path in PATHS:
        answer = stage.http.get(path, headers={"origin": "http://localhost:3000"})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Bearer wrong"}, {"origin": EVIL}, {"origin": "null"}, {"authorization": ""}],
    ids=["wrong key", "foreign", "null", "no key"],
)
def test_a_websocket_of_a_stranger_is_refused(stage: Stage, headers: dict[str, str]) -> None:
    given = {"authorization": f"Bearer {stage.daemon.key}", "openai-beta": "responses_websockets=2026-02-06"}
    address = stage.daemon.url.replace("http", "ws", 1) + "/v1/responses"
    options = {"additional_headers": given | headers, "proxy": None, "open_timeout": 10}
    with pytest.raises(InvalidStatus) as caught, connect(address, **options):  # type: ignore[arg-type]
        time.sleep(0)
    assert caught.value.response.status_code == 403


def test_the_dashboard_cannot_be_framed_and_loads_nothing_foreign(stage: Stage) -> None:
    headers = stage.http.get("/").headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
