"""`bm record` keeps exchanges while the daemon runs; `bm replay` sends one again and compares."""

from __future__ import annotations

import re
import time

import httpx
import pytest

from bm.cli.exits import UsageError
from bm.cli.record import addressed, text_of
from bm.config.paths import Paths
from bm.ledger.recordings import Message, Recording, folder_of, summaries
from bm.names import ProtocolName
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage
from tests.cli.conftest import Bm
from tests.simulator.streams import APIS, ask


def kept(paths: Paths, count: int) -> list[str]:
    """The ids of the recordings, the newest first, once there are so many."""
    limit = time.monotonic() + 20
    while len(found := summaries(folder_of(paths))) < count:
        assert time.monotonic() < limit, "it was not recorded"
        time.sleep(0.01)
    return [each.id for each in found]


def test_only_exchanges_while_recording_is_on_are_kept(
    bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client
) -> None:
    ask(http, "anthropic")
    assert bm("record", "on").code == 0
    assert "recording" in bm("status").out
    wanted = ask(http, "openai-chat").headers["x-bm-request-id"]
    assert kept(paths, 1) == [wanted]
    assert bm("record", "off").code == 0
    ask(http, "anthropic")
    assert bm("stop").code == 0
    assert [each["id"] for each in bm("record", "list", "--json").json["recordings"]] == [wanted]
    assert wanted in bm("record", "list").out
    shown = bm("record", "show", wanted)
    assert shown.code == 0 and "POST /v1/chat/completions" in shown.out and "[DONE]" in shown.out
    assert "[secret]" in shown.out and http.headers["x-api-key"] not in shown.out
    assert bm("record", "show", "--json").json["id"] == wanted
    assert bm("record", "delete", wanted).code == 0
    assert bm("record", "list").out == "no recordings (bm record on)\n"


def test_all_recordings_can_be_deleted(bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client) -> None:
    bm("record", "on")
    for _ in range(3):
        ask(http, "gemini")
    kept(paths, 3)
    assert bm("record", "delete", "--all") == (0, "3 recordings deleted\n", "")


def test_missing_recordings_are_errors(bm: Bm) -> None:
    assert bm("record", "list").code == 0
    assert bm("record", "show").code == 1
    assert bm("record", "show", "../accounts").code == 1
    assert bm("record", "delete", "req_unknown").code == 1
    assert bm("record", "delete").code == bm("record", "delete", "req_1", "--all").code == 2


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("api", APIS)
def test_both_answers_are_shown(
    bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client, api: str, stream: bool
) -> None:
    bm("record", "on")
    simulator.script(
        Rule(text="the first answer", usage=Usage(input=10, output=2, thinking=0)),
        Rule(text="the second answer", usage=Usage(input=30, output=4, thinking=0)),
    )
    ask(http, api, stream=stream)
    first = kept(paths, 1)[0]
    ran = bm("replay", first, "--to", "groq:openai/gpt-oss-120b", "--json")
    assert ran.code == 0, ran.err
    before, after = ran.json["recorded"], ran.json["replayed"]
    assert (before["text"], after["text"]) == ("the first answer", "the second answer")
    assert (before["provider"], after["provider"]) == ("gemini", "groq")
    assert after["model"] == "openai/gpt-oss-120b"
    assert (before["usage"]["input"], after["usage"]["input"]) == (10, 30)
    assert (before["usage"]["output"], after["usage"]["output"]) == (2, 4)
    assert after["id"] != before["id"] == first
    assert after["cost"] > 0 and after["took"] > 0


def test_the_same_target_and_the_same_words(bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client) -> None:
    bm("record", "on")
    ask(http, "anthropic")
    first = kept(paths, 1)[0]
    ran = bm("replay", first)
    assert ran.code == 0
    assert "both answers:" in ran.out and "first content" in ran.out
    assert len({record.model for record in simulator.log() if record.operation != "models"}) == 1


def test_a_failed_replay_exits_with_1(bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client) -> None:
    bm("record", "on")
    ask(http, "anthropic")
    first = kept(paths, 1)[0]
    simulator.script(Rule(status=400, message="not like this", times=None))
    ran = bm("replay", first)
    assert ran.code == 1 and "not like this" in ran.out
    assert re.search(r"provider +gemini +gemini\n", ran.out), "who refused it"


def test_an_unknown_provider_is_wrong_usage(bm: Bm, paths: Paths, simulator: Simulator, http: httpx.Client) -> None:
    bm("record", "on")
    ask(http, "anthropic")
    ran = bm("replay", kept(paths, 1)[0], "--to", "acme")
    assert ran.code == 2 and "acme" in ran.err
    bm("stop")
    assert bm("replay").code == 3


def recording(protocol: ProtocolName, model: str, path: str, body: str = "") -> Recording:
    return Recording(
        id="req_1",
        at=0.0,
        protocol=protocol,
        operation="generate",
        model=model,
        stream=True,
        path=path,
        request=Message(body=body or f'{{"model": "{model}", "other": 1}}'),
        upstream=(),
        status=200,
        answer=Message(),
        complete=True,
        whole=True,
        decision={},
    )


GEMINI = "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("protocol", "model", "to", "named"),
    [
        ("anthropic", "claude-sonnet-5", "", "claude-sonnet-5"),
        ("anthropic", "claude-sonnet-5", "groq", "groq:claude-sonnet-5"),
        ("openai-chat", "gpt-5", "groq:openai/gpt-oss-120b", "groq:openai/gpt-oss-120b"),
        ("openai-chat", "gemini:gemini-3-flash", "groq", "groq:gemini-3-flash"),
    ],
)
def test_the_model_is_named_in_the_body(protocol: ProtocolName, model: str, to: str, named: str) -> None:
    path, body = addressed(recording(protocol, model, "/path"), to, {"groq", "gemini"})
    assert (path, body.decode()) == ("/path", f'{{"model": "{named}", "other": 1}}')


@pytest.mark.parametrize(
    ("to", "path"),
    [
        ("", GEMINI),
        ("groq", "/v1beta/models/groq:gemini-3-flash:streamGenerateContent?alt=sse"),
        ("groq:openai/gpt-oss-120b", "/v1beta/models/groq:openai/gpt-oss-120b:streamGenerateContent?alt=sse"),
    ],
)
def test_for_gemini_the_model_is_named_in_the_path(to: str, path: str) -> None:
    kept = recording("gemini", "gemini-3-flash", GEMINI, "{}")
    assert addressed(kept, to, {"groq"}) == (path, b"{}")


def test_a_provider_must_be_known() -> None:
    with pytest.raises(UsageError):
        addressed(recording("anthropic", "claude-x", "/path"), "acme:model", {"groq"})


def test_a_body_that_is_not_an_answer_is_shown_as_it_is() -> None:
    kept = recording("anthropic", "claude-x", "/v1/messages")
    assert text_of(kept, kept.path, 500, b"a web page") == "a web page"
