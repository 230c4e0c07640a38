"""The stream of one call over several targets: the next request, and what the client receives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.accounts.account import Access
from bm.chat.events import Usage
from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, Reasoning, Turn
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.adapter import Adapter
from bm.gateway.continuation import Way
from bm.gateway.rescue import DIVERGED, Rescue, begun
from bm.gateway.settings import Rules
from bm.gateway.stores import SignatureStore
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.passthrough import ResponsePipe
from bm.remedies.apply import SPEAK
from bm.remedies.remedy import Remedy
from tests.gateway.matrix import providers
from tests.gateway.test_adapter import CLAUDE, GEMINI, GPT, adapter
from tests.support.grammar_anthropic import check

MEANT = "claude-sonnet-4-5-20250929"
HELLO: Json = {"model": MEANT, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], "stream": True}
CUT = Failure(kind="truncated", message="the connection broke")
REFUSED = Failure(kind="bad_request", message="This model does not support assistant message prefill.")
NEWER = Target("anthropic", "one", "claude-opus-4-8", "anthropic")
"""Takes no prefill, unlike the older model."""
UNKNOWN = Target("anthropic", "one", "large-1", "anthropic")


def rescue(body: Json | None = None, **more: Any) -> Rescue:
    options: dict[str, Any] = {"stream": True, "model": MEANT} | more
    return Rescue(adapter(body=json.dumps(body or HELLO).encode(), **options))


def prepared(given: Rescue, target: Target, **options: Any) -> UpstreamCall:
    return given.prepare(Attempt(target=target, **options), providers()[target.provider], Access(key="upstream-key"))


def asked(upstream: UpstreamCall) -> Json:
    body: Json = json.loads(upstream.request.body)
    return body


def gemini(text: str, finish: str | None = None) -> bytes:
    """A piece of Gemini's stream."""
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0} | (
        {"finishReason": finish} if finish else {}
    )
    return b"data: " + json.dumps({"candidates": [candidate]}).encode() + b"\n\n"


def cut_after(given: Rescue, text: str) -> tuple[bytes, ResponsePipe]:
    """What the client has when the first target broke off after this text, and the pipe it came by."""
    pipe = given.pipe(prepared(given, GEMINI))
    received = (pipe.feed(gemini(text)) if text else b"") + pipe.close()
    assert pipe.watch.failure is not None
    assert given.broken(pipe.watch.failure, pipe).request == "resume"
    return received, pipe


def refuse(given: Rescue, target: Target) -> None:
    """The target refuses the way in which it is asked."""
    given.asked(target, prepared(given, target))
    assert given.judged(Outcome(failure=REFUSED, request="return"), target).request == "retry"


def continued(given: Rescue, way: Way) -> UpstreamCall:
    """The request to a target that refuses all ways before this one."""
    while (upstream := prepared(given, GEMINI)).continues != way:
        refuse(given, GEMINI)
    return upstream


def text_in(stream: bytes) -> str:
    """The text a client of Anthropic's reads."""
    lines = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: ")]
    return "".join(line["delta"].get("text", "") for line in lines if line["type"] == "content_block_delta")


def test_a_model_that_takes_a_prefill_continues_the_response() -> None:
    given = rescue()
    cut_after(given, "one two ")
    upstream = prepared(given, CLAUDE)
    assert asked(upstream)["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "one two"}]}
    assert asked(upstream)["max_tokens"] == 98
    assert given.asked(upstream.target, upstream) == "continues the cut response"


@pytest.mark.parametrize("target", [GPT, NEWER, UNKNOWN], ids=lambda target: target.model)
def test_any_other_model_is_asked_to_repeat_the_last_words_and_to_go_on(target: Target) -> None:
    given = rescue()
    cut_after(given, "one two ")
    upstream = prepared(given, target)
    *_, question, answer, asking = asked(upstream)["messages"]
    assert "hi" in str(question) and "one two" in str(answer) and answer["role"] == "assistant"
    assert asking["role"] == "user" and "its last 2 words" in str(asking) and "one two" in str(asking)
    assert given.asked(upstream.target, upstream) == "continues the cut response after its last words"


def test_a_model_that_demands_another_protocol_is_asked_over_that() -> None:
    call = adapter(body=json.dumps(HELLO).encode(), stream=True, model=MEANT).call
    demands = (Remedy(SPEAK, values=("openai-responses",)),)
    remedies = {"openai-chat": demands}
    given = Rescue(Adapter(call, SignatureStore(), Rules(), remedies=lambda to: remedies.get(to.protocol, ())))
    cut_after(given, "one two ")
    upstream = prepared(given, GPT)
    assert (upstream.continues, upstream.target.protocol) == ("ask", "openai-responses")
    assert upstream.request.url.endswith("/responses") and "input" in asked(upstream)


def test_a_service_that_refuses_one_way_is_asked_in_the_next() -> None:
    given = rescue()
    cut_after(given, "one two ")
    for way in ("prefill", "ask"):
        assert prepared(given, CLAUDE).continues == way
        refuse(given, CLAUDE)
    assert asked(prepared(given, CLAUDE))["messages"] == HELLO["messages"]


def test_a_text_without_an_end_of_its_own_starts_over() -> None:
    given = rescue()
    cut_after(given, "on and on " * 60)
    upstream = prepared(given, GPT)
    assert "on and on" not in upstream.request.body.decode()
    assert given.asked(upstream.target, upstream) == "starts over, to continue where the response was cut"


ANSWERS: dict[Way, str] = {"prefill": "three", "ask": "one two three", "restart": "one two three"}
EVERY_WAY = pytest.mark.parametrize("way", ANSWERS)


@EVERY_WAY
def test_the_client_receives_one_response(way: Way) -> None:
    given = rescue()
    received, _ = cut_after(given, "one two ")
    pipe = given.pipe(continued(given, way))
    received += pipe.feed(gemini(ANSWERS[way], "STOP")) + pipe.close()
    given.done()
    assert text_in(received) == "one two three"
    check(received)
    assert (pipe.watch.failure, given.continuations, given.cut) == (None, 1, None)


@pytest.mark.parametrize(("way", "shown"), [("prefill", 7), ("ask", 5), ("restart", 5)])
def test_each_target_is_charged_for_its_part(way: Way, shown: int) -> None:
    given = rescue()
    first = given.share(cut_after(given, "one two ")[1])
    assert first.output == 2 and first.input > 0, "nothing was reported, so both are estimates"
    pipe = given.pipe(continued(given, way))
    usage = {"promptTokenCount": 40, "candidatesTokenCount": 5}
    last = json.loads(gemini(ANSWERS[way], "STOP")[6:]) | {"usageMetadata": usage}
    pipe.feed(b"data: " + json.dumps(last).encode() + b"\n\n")
    pipe.close()
    assert given.share(pipe) == Usage(input=40, output=5)
    assert pipe.watch.usage == Usage(input=40, output=shown), "the client is shown one response"


@pytest.mark.parametrize("way", ["ask", "restart"])
def test_a_new_response_that_differs_is_not_appended(way: Way) -> None:
    given = rescue()
    received, _ = cut_after(given, "one two ")
    pipe = given.pipe(continued(given, way))
    received += pipe.feed(gemini("something else entirely", "STOP")) + pipe.close()
    assert text_in(received) == "one two "
    assert pipe.watch.failure is not None and pipe.watch.failure.code == DIVERGED
    assert given.broken(pipe.watch.failure, pipe).request == "next"
    assert given.cut is not None and given.cut.code != DIVERGED


def test_json_that_has_begun_is_not_continued() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    given = rescue(HELLO | {"output_config": {"format": {"type": "json_schema", "schema": schema}}})
    pipe = given.pipe(prepared(given, GEMINI))
    received = pipe.feed(gemini('{"a": ')) + pipe.close()
    assert not pipe.resumable and b"event: error" in received


def test_the_client_is_informed_when_no_target_can_continue() -> None:
    given = rescue()
    received = cut_after(given, "one two ")[0] + given.error(CUT)
    check(received)
    assert b"event: error" in received and b"message_stop" not in received


def test_a_response_of_which_nothing_was_delivered_starts_over() -> None:
    given = rescue()
    cut_after(given, "")
    upstream = prepared(given, CLAUDE)
    assert asked(upstream)["messages"] == HELLO["messages"]
    assert (
        given.asked(upstream.target, upstream) == "starts over, because the client has received nothing of the response"
    )


def test_a_response_that_the_client_prefilled_is_not_prefilled_again() -> None:
    messages = [*HELLO["messages"], {"role": "assistant", "content": "one"}]
    given = rescue(HELLO | {"messages": messages})
    cut_after(given, " two ")
    assert asked(prepared(given, CLAUDE))["messages"][-1]["content"] == "one"


def test_a_request_that_bm_does_not_understand_passes_through() -> None:
    given, piece = rescue(HELLO | {"messages": "none"}), b'event: ping\ndata: {"type": "ping",  "unheard_of": 1}\n\n'
    assert given.pipe(prepared(given, CLAUDE)).feed(piece) == piece


@pytest.mark.parametrize(
    ("outcome", "request_"),
    [
        (Outcome(failure=REFUSED, request="return"), "retry"),
        (Outcome(failure=Failure(kind="upstream_auth", message="no"), request="return"), "next"),
        (Outcome(failure=Failure(kind="server", message="no"), request="retry"), "retry"),
        (Outcome(), "done"),
    ],
)
def test_a_refusal_after_the_cut_is_not_the_clients(outcome: Outcome, request_: str) -> None:
    whole = rescue()
    assert whole.judged(outcome, CLAUDE) == outcome
    given = rescue()
    cut_after(given, "one two ")
    given.asked(CLAUDE, prepared(given, CLAUDE))
    assert given.judged(outcome, CLAUDE).request == request_


def test_a_refused_way_is_no_fault_of_the_account() -> None:
    given = rescue()
    cut_after(given, "one two ")
    given.asked(CLAUDE, prepared(given, CLAUDE))
    effect = AccountEffect(kind="fault")
    assert given.judged(Outcome(failure=REFUSED, account=effect, request="return"), CLAUDE).account == AccountEffect()


@pytest.mark.parametrize(("most", "left"), [(None, None), (100, 97), (2, 1)])
@pytest.mark.parametrize(
    ("target", "reasoning"),
    [(CLAUDE, Reasoning(level="off")), (GEMINI, Reasoning(level="high"))],
    ids=["claude", "gemini"],
)
def test_a_prefill_counts_against_max_tokens(
    most: int | None, left: int | None, target: Target, reasoning: Reasoning
) -> None:
    turns = (Turn("user", (Text("hi"),)),)
    request = ChatRequest(protocol="gemini", model="m", turns=turns, max_tokens=most, reasoning=Reasoning(level="high"))
    changed = begun(request, "one two", 3, target)
    assert changed.turns == (*turns, Turn("assistant", (Text("one two"),)))
    assert (changed.max_tokens, changed.reasoning) == (left, reasoning)


def test_a_client_with_half_a_response_is_kept_waiting_in_its_stream() -> None:
    given = rescue()
    cut_after(given, "one two ")
    assert given.keepalive() == b'event: ping\ndata: {"type":"ping"}\n\n'
