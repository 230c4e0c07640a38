"""The script language: what it says, what it refuses, in which order rules are used."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from bm.simulator import Rule, Simulator, ToolCall
from bm.simulator.faults import NAMED
from bm.simulator.rules import decode


def status(http: httpx.Client, model: str = "gpt-5", key: str = "key-one", prefix: str = "") -> int:
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    return http.post(f"{prefix}/v1/chat/completions", json=body, headers={"x-api-key": key}).status_code


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (b"nonsense", "malformed"),
        (b'{"rules": [{"txet": "x"}]}', r"txet.*rules\[0\]|txet"),
        (b'{"rules": [{"api": "antropic"}]}', r"antropic.*rules\[0\]\.api"),
        (b'[{"cut_after": 1, "end_after": 2}]', "breaks in one way only, not by cut_after and end_after"),
        (b'{"error_after": 1}', "error_after needs a status or an error"),
        (b'{"times": 0}', "times is at least 1"),
        (b'{"status": 200}', "status is that of an error"),
        (b'{"tool_calls": [{"name": "a"}], "tool_steps": [[{"name": "b"}]]}', "one step of calls"),
        (b'{"tool_calls": [{"nam": "a"}]}', "nam"),
    ],
)
def test_a_wrong_script_is_refused_and_the_place_named(script: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(script)


@pytest.mark.parametrize("script", [b'{"text": "x"}', b'[{"text": "x"}]', b'{"rules": [{"text": "x"}]}'])
def test_one_rule_a_list_of_rules_and_a_script_are_the_same(script: bytes) -> None:
    assert decode(script).rules == (Rule(text="x"),)


def test_rules_are_used_up_in_order(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(status=500, times=2), Rule(status=503))
    assert [status(http) for _ in range(4)] == [500, 500, 503, 200]


def test_a_rule_for_ever_is_not_used_up(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(status=500, times=None))
    assert [status(http) for _ in range(3)] == [500, 500, 500]


@pytest.mark.parametrize(
    ("rule", "fitting"),
    [
        (Rule(status=500, api="openai-chat"), True),
        (Rule(status=500, api="gemini"), False),
        (Rule(status=500, path="/groq"), True),
        (Rule(status=500, path="/together"), False),
        (Rule(status=500, account="key-one"), True),
        (Rule(status=500, account="one"), True),
        (Rule(status=500, account="two"), False),
        (Rule(status=500, model="llama-*"), True),
        (Rule(status=500, model="gpt-*"), False),
        (Rule(status=500, operation="any"), True),
        (Rule(status=500, operation="count"), False),
        (Rule(status=500, step=0), True),
        (Rule(status=500, step=1), False),
    ],
)
def test_a_rule_is_for_the_requests_it_names(sim: Simulator, http: httpx.Client, rule: Rule, fitting: bool) -> None:
    sim.script(rule)
    assert (status(http, model="llama-3.3", prefix="/groq") == 500) is fitting


def converse(http: httpx.Client, *replies: str) -> dict[str, object]:
    """Ask, and answer the call made last with the last of `replies`; the reply of the simulator."""
    messages: list[dict[str, object]] = [{"role": "user", "content": "hello"}]
    message: dict[str, object] = {}
    for reply in ("", *replies):
        for call in message.get("tool_calls") or []:  # type: ignore[attr-defined]
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": reply})
        answer = http.post("/v1/chat/completions", json={"model": "gpt-5", "messages": messages})
        message = answer.json()["choices"][0]["message"]
        messages.append(message)
    return message


def test_after_its_calls_a_rule_answers_with_text(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(tool_calls=(ToolCall("look", {"at": "it"}),), text="seen"), Rule(text="the next rule"))
    assert converse(http, "a result")["content"] == "seen"
    assert converse(http)["content"] == "the next rule"


def test_steps_of_calls_follow_each_other(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(tool_steps=((ToolCall("first"),), (ToolCall("second"),)), preface="I look.", text="done"))
    second = converse(http, "one")
    assert (second["tool_calls"][0]["function"]["name"], second["content"]) == ("second", "I look.")  # type: ignore[index]
    sim.script(Rule(tool_steps=((ToolCall("first"),), (ToolCall("second"),)), text="done"))
    assert converse(http, "one", "two")["content"] == "done"


def test_a_fault_comes_before_the_rest_of_a_conversation(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(tool_calls=(ToolCall("look"),), text="seen"), Rule(status=429))
    with pytest.raises(KeyError, match="choices"):
        converse(http, "a result")
    assert [record.status for record in sim.log()] == [200, 429]


def test_every_word_of_the_language_and_every_named_fault_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    assert [field for field in Rule.__struct_fields__ if f"`{field}`" not in page] == []
    assert [name for name in NAMED if f"-{name}`" not in page] == []
