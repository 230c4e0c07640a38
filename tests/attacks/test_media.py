"""A request names a URL of this machine or its networks, in any spelling: nothing is fetched, and it says why."""

from __future__ import annotations

import pytest

from tests.attacks.stage import Stage, answered
from tests.gateway.world import Answer

HOSTS = [
    *("127.0.0.1", "localhost", "a.localhost", "localhost.", "LOCALHOST", "0.0.0.0", "127.1", "0", "2130706433"),
    *(
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127。0。0。1",
        "127．0．0．1",
        "１２７.0.0.1",
        "①②⑦.⓪.⓪.①",
    ),
    *("ｌocalhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]"),
    *("[2002:7f00:1::]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[::127.0.0.1]", "[fe80::1%25lo]"),
    *("[::ffff:0:7f00:1]", "[fec0::1]", "[fd00:ec2::254]", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("169.254.169.254", "169。254。169。254", "2852039166", "metadata.google.internal", "router", "printer.local"),
    *("nas.lan", "x.home.arpa", "224.0.0.1", "168.63.129.16", "255.255.255.255"),
]


def pictured(stage: Stage, url: str) -> Answer:
    """A request with a picture by URL, for a model that does not fetch it itself."""
    content = [{"type": "image", "source": {"type": "url", "url": url}}, {"type": "text", "text": "what is it?"}]
    body = {"model": "claude-sonnet-5", "max_tokens": 99, "messages": [{"role": "user", "content": content}]}
    return stage.world.send("anthropic", "/v1/messages", body)


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_reaches_a_private_address(stage: Stage, host: str) -> None:
    port = stage.hostile.url.rpartition(":")[2]
    stage.set_up("gemini", rescued=False)
    stage.hostile.says = lambda asked: answered(b"secret", "image/png")
    answer = pictured(stage, f"http://{host}:{port}/secret.png")
    assert answer.status == 400 and "cannot be fetched" in answer.message
    assert stage.hostile.asked == []


@pytest.mark.parametrize(
    "url", ["http://user:word@example.com/a.png", "http://127.0.0.1⁄@example.com/a.png", "http://[::1/a"]
)
def test_odd_urls_are_not_fetched(stage: Stage, url: str) -> None:
    stage.set_up("gemini", rescued=False)
    assert pictured(stage, url).status == 400 and stage.hostile.asked == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://127.0.0.1/a", "data:image/png;base64,!", "jar:http://a!/b"]
)
def test_other_schemes_open_nothing(stage: Stage, url: str) -> None:
    stage.set_up("gemini", rescued=False)
    stage.hostile.says = lambda asked: answered(b"{}")
    answer = pictured(stage, url)
    assert answer.status >= 400 and b"root:" not in answer.body
    assert all(b"root:" not in asked.body for asked in stage.hostile.asked)
