"""Interactions in the terms of generateContent."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.signature import Signature, wrap
from bm.errors import RequestError
from bm.protocols.interactions import Writer, decode, error_object

HI = [{"role": "user", "parts": [{"text": "hi"}]}]
USER = {"type": "user_input", "content": [{"type": "text", "text": "hi"}]}
CALL = {"type": "function_call", "id": "c1", "name": "get", "arguments": {"a": 1}}
RESULT = {"type": "function_result", "call_id": "c1", "result": "22 C"}
CALLED = {"functionCall": {"name": "get", "args": {"a": 1}, "id": "c1"}}
ANSWERED = {"functionResponse": {"id": "c1", "name": "get", "response": {"output": "22 C"}}}
WRAPPED = wrap(Signature("anthropic", "sig"))


def body(**members: Any) -> Any:
    """The body for generateContent of a request with these members."""
    return decode({"model": "models/m", "input": "hi"} | members, []).body


@pytest.mark.parametrize(
    "given",
    [
        "hi",
        {"type": "text", "text": "hi"},
        [{"type": "text", "text": "hi"}],
        [USER],
        [{"role": "user", "content": "hi"}],
    ],
)
def test_every_form_of_input(given: Any) -> None:
    assert body(input=given) == {"contents": HI}


def test_media_and_texts_of_one_input_are_one_content() -> None:
    image = {"type": "image", "mime_type": "image/png", "data": "aaaa"}
    paper = {"type": "document", "mime_type": "application/pdf", "uri": "gs://b/x"}
    assert body(input=[{"type": "text", "text": "hi"}, image, paper])["contents"][0]["parts"] == [
        {"text": "hi"},
        {"inlineData": {"mimeType": "image/png", "data": "aaaa"}},
        {"fileData": {"fileUri": "gs://b/x", "mimeType": "application/pdf"}},
    ]


def test_a_conversation_of_calls() -> None:
    steps = [{"type": "thought", "signature": "c2ln", "summary": []}, CALL, CALL | {"id": "c2"}]
    results = [RESULT, RESULT | {"call_id": "c2", "is_error": True}, {"type": "google_search_call", "id": "s"}]
    assert body(input=[USER, *steps, *results])["contents"] == [
        *HI,
        {
            "role": "model",
            "parts": [CALLED | {"thoughtSignature": "c2ln"}, {"functionCall": CALLED["functionCall"] | {"id": "c2"}}],
        },
        {
            "role": "user",
            "parts": [ANSWERED, {"functionResponse": {"id": "c2", "name": "get", "response": {"error": "22 C"}}}],
        },
    ]


@pytest.mark.parametrize(
    ("signature", "parts"),
    [
        ("c2ln", [{"text": "hi"}, {"text": "", "thoughtSignature": "c2ln"}]),
        (WRAPPED, [{"text": "hi"}, {"text": "hm", "thought": True, "thoughtSignature": WRAPPED}]),
        ("", [{"text": "hi"}, {"text": "hm", "thought": True}]),
    ],
)
def test_a_thought_at_the_end_of_a_turn(signature: str, parts: list[Any]) -> None:
    thought = {"type": "thought", "signature": signature, "summary": [{"type": "text", "text": "hm"}]}
    contents = body(input=[USER, USER | {"type": "model_output"}, thought, USER])["contents"]
    assert contents == [*HI, {"role": "model", "parts": parts}, *HI]


def test_a_result_with_media() -> None:
    result = [{"type": "text", "text": "see"}, {"type": "image", "mime_type": "image/png", "data": "aaaa"}]
    part = body(input=[USER, CALL, RESULT | {"result": result}])["contents"][-1]["parts"][0]["functionResponse"]
    assert part["response"] == {"output": "see"}
    assert part["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "aaaa"}}]


def test_an_interaction_goes_on_from_an_earlier_one() -> None:
    asked = decode({"model": "m", "input": "more", "stream": True}, [USER, USER | {"type": "model_output"}])
    assert [content["role"] for content in asked.body["contents"]] == ["user", "model", "user"]
    assert (asked.model, asked.stream, len(asked.steps)) == ("m", True, 3)


@pytest.mark.parametrize(
    ("members", "written"),
    [
        ({"system_instruction": "be brief"}, {"systemInstruction": {"parts": [{"text": "be brief"}]}}),
        (
            {
                "generation_config": {
                    "temperature": 1,
                    "max_output_tokens": 9,
                    "thinking_level": "low",
                    "thinking_summaries": "auto",
                }
            },
            {
                "generationConfig": {
                    "temperature": 1,
                    "maxOutputTokens": 9,
                    "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
                }
            },
        ),
        (
            {"response_format": {"type": "text", "mime_type": "application/json", "schema": {"type": "object"}}},
            {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}},
        ),
        (
            {"response_format": {"type": "object"}, "response_mime_type": "application/json"},
            {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": {"type": "object"}}},
        ),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "google_search"}]},
            {
                "tools": [
                    {"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]},
                    {"googleSearch": {}},
                ]
            },
        ),
        (
            {
                "tools": [{"type": "function", "name": "f", "description": "d"}],
                "generation_config": {"tool_choice": {"allowed_tools": {"mode": "any", "tools": ["f"]}}},
            },
            {
                "tools": [{"functionDeclarations": [{"name": "f", "description": "d"}]}],
                "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            },
        ),
    ],
)  # fmt: skip
def test_members(members: Any, written: Any) -> None:
    assert body(**members) == {"contents": HI} | written


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"agent": "deep-research"}, "agent"),
        ({"background": True}, "background"),
        ({"input": []}, "input"),
        ({"input": [{"type": "novelty"}]}, "input[0].type"),
        ({"input": [{"type": "user_input", "content": [{"type": "novelty"}]}]}, "input[0].content[0].type"),
        ({"tools": [{"type": "computer_use"}]}, "tools[0].type"),
        ({"model": ""}, "model"),
    ],
)
def test_what_is_refused(members: Any, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        body(**members)
    assert caught.value.failure.param == place


def written(*parts: Any, finish: str = "STOP") -> tuple[list[Any], Any]:
    """The events and the whole interaction of a response in chunks of one part each."""
    writer = Writer("int_1", "m")
    chunks: list[Any] = [{"candidates": [{"content": {"parts": [part]}}]} for part in parts]
    last = {"candidates": [{"finishReason": finish}], "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3}}
    events = [event for chunk in [*chunks, last] for event in writer.feed(chunk)]
    return [*events, *writer.end()], writer.whole()


def test_the_steps_of_a_response() -> None:
    events, whole = written(
        {"text": "h", "thought": True},
        {"text": "m", "thought": True},
        {"text": "h"},
        {"text": "i"},
        {"inlineData": {"mimeType": "image/png", "data": "aaaa"}},
        CALLED | {"thoughtSignature": "c2ln"},
    )
    kinds = " ".join(event["event_type"].removeprefix("step.") for event in events[:-1])
    assert kinds == "start delta delta stop start delta delta delta stop start delta stop start delta stop"
    assert events[-1] == {"event_type": "interaction.completed", "interaction": whole}
    assert whole["steps"] == [
        {"type": "thought", "summary": [{"type": "text", "text": "hm"}]},
        {
            "type": "model_output",
            "content": [{"type": "text", "text": "hi"}, {"type": "image", "mime_type": "image/png", "data": "aaaa"}],
        },
        {"type": "thought", "summary": [], "signature": "c2ln"},
        CALL,
    ]
    assert whole["status"] == "requires_action" and whole["usage"]["total_input_tokens"] == 3


def test_the_pieces_of_a_step_say_what_its_whole_says() -> None:
    events, whole = written({"text": "h"}, {"text": "i"})
    begun = next(event for event in events if event["event_type"] == "step.start")
    assert begun["step"] == {"type": "model_output", "content": []}
    pieces = [event["delta"]["text"] for event in events if event["event_type"] == "step.delta"]
    assert whole["steps"][0]["content"] == [{"type": "text", "text": "".join(pieces)}]


@pytest.mark.parametrize(
    ("finish", "status"), [("STOP", "completed"), ("MAX_TOKENS", "incomplete"), ("SAFETY", "failed")]
)
def test_the_status(finish: str, status: str) -> None:
    assert written({"text": "hi"}, finish=finish)[1]["status"] == status


def test_an_error_in_the_stream() -> None:
    writer = Writer("int_1", "m")
    (event,) = writer.feed({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}})
    assert event == {"event_type": "error", "error": {"code": "invalid_request", "message": "no"}}
    assert writer.failure == error_object({"code": 400, "message": "no"})
    assert (
        error_object({"code": 429, "message": "wait", "status": "RESOURCE_EXHAUSTED"})["code"] == "resource_exhausted"
    )


def test_members_without_a_counterpart_are_losses() -> None:
    given = {
        "model": "m",
        "input": [{"type": "image", "mime_type": "image/png", "data": "aaaa", "resolution": "low"}],
        "labels": {"a": "b"},
        "safety_settings": [],
        "service_tier": "flex",
        "response_modalities": ["text", "image"],
        "generation_config": {"speech_config": {"voice": "x"}, "top_p": 0.5},
        "tools": [{"type": "google_search", "search_types": ["image"]}],
        "unheard_of": 1,
    }
    asked = decode(given, [])
    lost = {"input[0].content[0].resolution", "generation_config.speech_config", "tools[0].search_types", "unheard_of"}
    assert {loss.field for loss in asked.losses} == lost
    assert asked.body["serviceTier"] == "flex"
    assert asked.body["generationConfig"] == {"topP": 0.5, "responseModalities": ["TEXT", "IMAGE"]}
