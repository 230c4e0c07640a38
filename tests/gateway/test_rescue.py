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
from bm.gateway.rescue import DIVERGED, Rescue, begun
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.passthrough import Watch
from tests.gateway.matrix import providers
from tests.gateway.test_adapter import CLAUDE, GEMINI, GPT, adapter
from tests.support.grammar_anthropic import check

MEANT = "claude-sonnet-4-5-20250929"
HELLO: Json = {"model": MEANT, "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], "stream": True}
CUT = Failure(kind="truncated", message="the connection broke")
REFUSED = Failure(kind="bad_request", message="This model does not support assistant message prefill.")
NEWER = Target("anthropic", "one", "claude-opus-4-8", "anthropic")
"""Takes no prefill, unlike the older model."""


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


def cut_after(given: Rescue, text: str) -> bytes:
    """What the client has when the first target broke off after this text."""
    pipe = given.pipe(prepared(given, GEMINI))
    received = (pipe.feed(gemini(text)) if text else b"") + pipe.close()
    assert pipe.watch.failure is not None
    given.choose(pipe)
    assert given.broken(pipe.watch.failure).request == "resume"
    return received


def refuse(given: Rescue, target: Target) -> None:
    """The target takes no beginning of an answer, although it should."""
    prepared(given, target)
    assert given.judged(Outcome(failure=REFUSED, request="return"), target).request == "retry"


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
    assert given.way == "continues the cut response"


@pytest.mark.parametrize("target", [GPT, NEWER], ids=lambda target: target.model)
def test_a_model_that_takes_no_prefill_is_asked_anew(target: Target) -> None:
    given = rescue()
    cut_after(given, "one two ")
    assert "one two" not in prepared(given, target).request.body.decode()
    assert given.way == "starts over, to continue where the response was cut"


@pytest.mark.parametrize(("rest", "anew"), [("three", False), ("one two three", True)], ids=["prefilled", "anew"])
def test_the_client_receives_one_response(rest: str, anew: bool) -> None:
    given = rescue()
    received = cut_after(given, "one two ")
    if anew:
        refuse(given, GEMINI)
    pipe = given.pipe(prepared(given, GEMINI))
    received += pipe.feed(gemini(rest, "STOP")) + pipe.close()
    given.done()
    assert text_in(received) == "one two three"
    check(received)
    assert (pipe.watch.failure, given.continuations, given.cut) == (None, 1, None)


@pytest.mark.parametrize(("anew", "own"), [(False, 5), (True, 5)], ids=["prefilled", "anew"])
def test_each_target_is_charged_for_its_part(anew: bool, own: int) -> None:
    given = rescue()
    cut_after(given, "one two ")
    first = given.share(Watch())
    assert first.output == 2 and first.input > 0, "nothing was reported, so both are estimates"
    if anew:
        refuse(given, GEMINI)
    pipe = given.pipe(prepared(given, GEMINI))
    usage = {"promptTokenCount": 40, "candidatesTokenCount": 5}
    last = json.loads(gemini("one two three" if anew else "three", "STOP")[6:]) | {"usageMetadata": usage}
    pipe.feed(b"data: " + json.dumps(last).encode() + b"\n\n")
    pipe.close()
    assert given.share(pipe.watch) == Usage(input=40, output=own)
    assert pipe.watch.usage == Usage(input=40, output=5 if anew else 7), "the client is shown one response"


def test_a_new_response_that_differs_is_not_appended() -> None:
    given = rescue()
    received = cut_after(given, "one two ")
    refuse(given, GEMINI)
    pipe = given.pipe(prepared(given, GEMINI))
    received += pipe.feed(gemini("something else entirely", "STOP")) + pipe.close()
    assert text_in(received) == "one two "
    assert pipe.watch.failure is not None and pipe.watch.failure.code == DIVERGED
    assert given.broken(pipe.watch.failure).request == "next"
    assert given.cut is not None and given.cut.code != DIVERGED


def test_the_client_is_informed_when_no_target_can_continue() -> None:
    given = rescue()
    received = cut_after(given, "one two ") + given.error(CUT)
    check(received)
    assert b"event: error" in received and b"message_stop" not in received


def test_a_response_of_which_nothing_was_delivered_starts_over() -> None:
    given = rescue()
    cut_after(given, "")
    assert asked(prepared(given, CLAUDE))["messages"] == HELLO["messages"]
    assert given.way == "starts over, because the client has received nothing of the response"


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
    prepared(given, CLAUDE)
    assert given.judged(outcome, CLAUDE).request == request_


def test_a_model_that_refuses_a_prefill_is_asked_anew_and_its_account_keeps_its_state() -> None:
    given = rescue()
    cut_after(given, "one two ")
    prepared(given, CLAUDE)
    effect = AccountEffect(kind="fault")
    assert given.judged(Outcome(failure=REFUSED, account=effect, request="return"), CLAUDE).account == AccountEffect()
    assert asked(prepared(given, CLAUDE))["messages"] == HELLO["messages"]


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
