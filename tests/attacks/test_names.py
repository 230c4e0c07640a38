"""Names that are more than a name: line breaks, control characters, steps of a path, in bodies, paths and headers."""

from __future__ import annotations

import json

import pytest

from tests.attacks.stage import Stage, answered
from tests.gateway.world import PROTOCOLS, path_of
from tests.simulator.streams import body_of

MODELS = [
    *(
        "a\nb",
        "a\r\nx-evil: 1",
        "a\x00b",
        "a\x7fb",
        "a\x1b[31mb",
        "a\u2028b",
        "a\x85b",
        "..",
        "a/../b",
        "a/./b",
        "a\\..\\b",
    ),
    *(
        "%2e%2e/b",
        "a/%2e%2e/b",
        "../../v1/files",
        "models/../../v1/x",
        "groq:../b",
        "gemini:../../v1/files",
        "gemini:%2e%2e",
    ),
]
ENCODED = [
    "a%0Ab",
    "a%0D%0Ax-evil:%201",
    "a%00b",
    "..",
    "a%2F..%2Fb",
    "a/../b",
    "%2e%2e",
    "..%2F..%2Fv1%2Ffiles",
    "a%252e%252e",
]
LINE = "2026-01-01 00:00:00.000 ERROR bm: forged"


@pytest.mark.parametrize("model", MODELS, ids=map(repr, MODELS))
def test_a_model_that_is_no_name_is_refused_before_anything_is_sent(stage: Stage, model: str) -> None:
    protocol = PROTOCOLS[MODELS.index(model) % 3]
    stage.set_up("gemini", rescued=False)
    path = path_of(protocol, model, stream=False)
    answer = stage.world.send(protocol, path, body_of(protocol, model=model, stream=False))
    assert answer.status == 400 and "name of the model" in answer.message
    assert stage.hostile.asked == [] and "x-evil" not in answer.headers


@pytest.mark.parametrize("model", ENCODED)
def test_nor_does_one_in_a_path_leave_its_place(stage: Stage, model: str) -> None:
    stage.set_up("gemini", rescued=False)
    stage.hostile.says = lambda asked: answered(b"{}")
    body = json.dumps(body_of("gemini")).encode()
    head = b"POST /v1beta/models/%s:generateContent HTTP/1.1\r\nhost: localhost\r\nx-api-key: " % model.encode()
    head += stage.daemon.key.encode() + b"\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    received = stage.raw(head + body)
    assert received.split(b" ", 2)[1] in (b"400", b"404", b"502"), received
    for asked in stage.hostile.asked:
        target = asked.head.split(" ")[1]
        assert target.startswith("/v1beta/models/") and ".." not in target and "%2e" not in target.replace("%25", "")


def test_no_line_of_the_log_is_a_strangers(stage: Stage) -> None:
    stage.set_up("gemini", rescued=False)
    stage.hostile.says = lambda asked: answered(
        json.dumps({"error": {"code": 400, "message": f"no\n{LINE} by upstream\r{LINE}"}}).encode(), status="400 Bad"
    )
    stage.ask("anthropic", model="claude-sonnet-5")
    stage.world.send("openai-chat", "/v1/chat/completions", {"model": f"x\n{LINE} by model", "messages": []})
    stage.world.send("gemini", f"/nothing%0A{LINE} by path".replace(" ", "%20"), {})
    stage.raw(b"GET /x HTTP/1.1\r\nhost: a\x85" + LINE.encode() + b"\r\nconnection: close\r\n\r\n")
    stage.http.get("/v1/models", headers={"origin": f"http://x/{LINE}"})
    assert not [line for line in stage.daemon.log().splitlines() if line.startswith("2026-01-01")]


@pytest.mark.parametrize("header", ["x-bm-model", "x-bm-dropped", "x-bm-account"])
def test_no_header_of_an_answer_is_a_strangers(stage: Stage, header: str) -> None:
    stage.set_up("anthropic", rescued=False)
    body = {
        "model": "é😀" * 50,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "hi"}],
        "odd\r\nx-evil: 1": 1,
    }
    stage.hostile.says = lambda asked: answered(b"{}")
    answer = stage.world.send("anthropic", "/v1/messages", body)
    assert "x-evil" not in answer.headers and "\n" not in answer.headers.get(header, "")
