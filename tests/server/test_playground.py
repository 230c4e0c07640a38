"""Questions asked on the page: a session allows them, and what it consists of goes nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.world import World
from tests.server.signed_in import cookie_of, signed_in

QUESTION: dict[str, Any] = {
    "model": "claude-sonnet-5",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "hello"}],
}


@pytest.mark.parametrize("stream", [True, False])
def test_a_session_may_ask(world: World, stream: bool) -> None:
    world.set_up(accounts=1)
    with signed_in(world.daemon) as page:
        answer = page.post("/admin/ask", json=QUESTION | {"stream": stream, "top_k": 3})
        session = page.headers["x-bm-session"]
        cookie = cookie_of(page)["cookie"]
    assert answer.status_code == 200 and answer.headers["x-bm-provider"] == "gemini"
    assert ("message_stop" in answer.text) is stream
    found = world.admin(f"why/{answer.headers['x-bm-request-id']}")
    assert found["protocol"] == "anthropic"
    (row,) = [each for each in world.admin("requests")["requests"] if each["id"] == found["id"]]
    assert row["tool"] == "bm-dashboard"
    sent = str([each.headers for each in world.sim.log()])
    for secret in (session, cookie, world.daemon.key):
        assert secret not in sent


def test_an_error_has_the_form_of_the_api(world: World) -> None:
    world.set_up(accounts=0)
    with signed_in(world.daemon) as page:
        answer = page.post("/admin/ask", json=QUESTION)
    assert answer.status_code >= 400 and "bm accounts add" in answer.json()["error"]["message"]


def test_a_foreign_page_may_not_ask(world: World) -> None:
    with signed_in(world.daemon) as page:
        answer = page.post("/admin/ask", json=QUESTION, headers={"origin": "http://127.0.0.1:1"})
    assert answer.status_code == 403
