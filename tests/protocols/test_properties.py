"""What holds for any answer that an upstream may give, whichever client reads it."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings

from bm import sse
from bm.chat.events import End, Event, PartWhole
from bm.chat.parts import Json, Media, Opaque, Refusal, Text, ToolCall
from bm.chat.request import ChatRequest
from bm.names import ProtocolName
from bm.protocols.reading import json_of
from bm.protocols.registry import CODECS
from tests.protocols.openai_chat.generate import answers
from tests.protocols.pair import CLIENTS, asks, check, continued, hello, ids, reported, sent, streamed, whole
from tests.protocols.pair import HI as LEAST
from tests.support.folding import ChatResponse, fold

CURIOUS: dict[ProtocolName, ChatRequest] = {
    "anthropic": hello("anthropic", thinking={"type": "adaptive"}, stream=True),
    "openai-chat": hello(
        "openai-chat", reasoning={"enabled": True}, stream=True, stream_options={"include_usage": True}
    ),
    "openai-responses": hello(
        "openai-responses",
        include=["reasoning.encrypted_content"],
        reasoning={"summary": "auto"},
        stream=True,
    ),
    "gemini": asks(
        "gemini", {**LEAST["gemini"], "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}, stream=True
    ),
}
"""Clients that want to see and carry all there is."""


FUNCTIONS: dict[ProtocolName, Json] = {
    "anthropic": {
        "thinking": {"type": "adaptive"},
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in "fg"],
    },
    "openai-chat": {"tools": [{"type": "function", "function": {"name": name}} for name in "fg"]},
    "openai-responses": {
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "tools": [{"type": "function", "name": name, "parameters": {}} for name in "fg"],
    },
    "gemini": {"tools": [{"functionDeclarations": [{"name": name} for name in "fg"]}]},
}


def read(client: ProtocolName, stream: bytes) -> ChatResponse:
    """What a client of this protocol would know of a stream."""
    parser, decoder = sse.Parser(), CODECS[client].stream_decoder(ids())
    events = [event for item in (*parser.feed(stream), *parser.close()) for event in decoder.feed(item)]
    return fold([*events, *decoder.close()])


def said(answer: ChatResponse) -> tuple[str, str, list[tuple[str, str]]]:
    """The words, the refusal and the calls of the first choice, in order."""
    parts = answer.choices[0].parts if answer.choices else ()
    calls = [(part.name, part.raw if part.raw.strip() else "{}") for part in parts if isinstance(part, ToolCall)]
    texts = "".join(part.text for part in parts if isinstance(part, Text))
    return texts, "".join(part.text for part in parts if isinstance(part, Refusal)), calls


@pytest.mark.parametrize("client", CLIENTS)
@settings(max_examples=40)
@given(events=answers())
def test_every_response_is_a_stream_that_its_client_can_read(client: ProtocolName, events: list[Event]) -> None:
    request = CURIOUS[client]
    check(request, streamed(request, events), complete=isinstance(events[-1], End))


@pytest.mark.parametrize("client", CLIENTS)
@settings(max_examples=40)
@given(events=answers())
def test_a_stream_and_a_whole_response_hold_the_same(client: ProtocolName, events: list[Event]) -> None:
    assume(isinstance(events[-1], End) and not _broken_off(events))
    request = CURIOUS[client]
    decoded = fold(CODECS[client].decode_response(whole(request, events), ids()))
    seen = read(client, streamed(request, events))
    (text, refusal, calls), (whole_text, whole_refusal, whole_calls) = said(seen), said(decoded)
    assert (calls, seen.usage) == (whole_calls, decoded.usage)
    assert (text, refusal) == (whole_text, whole_refusal)


@pytest.mark.parametrize("client", CLIENTS)
@settings(max_examples=40)
@given(events=answers())
def test_what_was_said_and_called_arrives(client: ProtocolName, events: list[Event]) -> None:
    assume(isinstance(events[-1], End) and not _shown_otherwise(events))
    request = CURIOUS[client]
    given_text, refusal, calls = said(fold(events))
    text, refused, called = said(read(client, streamed(request, events)))
    assert [name for name, _ in called] == [name for name, _ in calls]
    # Anthropic and Gemini have no part for a refusal: there its words are text.
    assert sorted(text + refused) == sorted(given_text + refusal) or refused.startswith(refusal)


def _broken_off(events: Sequence[Event]) -> bool:
    """Whether a call begins as an object and is none. No client gets an end after it: the gateway sends an error."""
    calls = [part for choice in fold(events).choices for part in choice.parts if isinstance(part, ToolCall)]
    return any(call.raw.lstrip().startswith("{") and not isinstance(json_of(call.raw), dict) for call in calls)


def _shown_otherwise(events: Sequence[Event]) -> bool:
    """Whether a part is replaced by a note, such as a picture to those who can show none."""
    return any(isinstance(event, PartWhole) and isinstance(event.part, Media | Opaque) for event in events)


@pytest.mark.parametrize("client", CLIENTS)
def test_geminis_signatures_come_back_through_every_client(client: ProtocolName) -> None:
    body = {**LEAST[client], **FUNCTIONS[client]}
    signatures = [base64.b64encode(bytes(range(256)) * 600 + bytes([step])).decode() for step in range(3)]
    for signature in signatures:
        calls: list[Json] = [{"functionCall": {"name": name, "args": {}}} for name in "fg"]
        calls[0]["thoughtSignature"] = signature
        candidate = {"content": {"role": "model", "parts": calls}, "finishReason": "STOP"}
        answer = whole(asks(client, body), reported("gemini", [{"candidates": [candidate]}]))
        body = continued(client, body, answer)
    contents = sent(asks(client, body), "gemini", "gemini-3.1-pro-preview").body["contents"]
    made = [part for content in contents for part in content["parts"] if "functionCall" in part]
    assert [call.get("thoughtSignature") for call in made] == [each for given in signatures for each in (given, None)]
