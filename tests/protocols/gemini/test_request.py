"""What Gemini clients ask for, in every spelling they use."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bm.chat.parts import Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Extra, HostedTool, OutputFormat, Reasoning, Sampling, Tool, ToolChoice, Turn
from bm.chat.signature import Signature, wrap
from bm.errors import RequestError
from bm.protocols.gemini.codec import CODEC

HI = [{"role": "user", "parts": [{"text": "hi"}]}]
SIGNED = Signature("gemini", "c2ln")


def read(**body: Any) -> ChatRequest:
    body = {"contents": HI, **body}
    before = copy.deepcopy(body)
    request = CODEC.decode_request(body, model="m", stream=True)
    assert body == before
    return request


def test_the_model_and_the_stream_stand_in_the_path() -> None:
    request = read()
    assert (request.protocol, request.model, request.stream) == ("gemini", "m", True)
    assert request.turns == (Turn("user", (Text("hi"),)),)


def test_a_body_may_name_its_model_and_be_wrapped_for_counting() -> None:
    wrapped = {"generateContentRequest": {"model": "models/gemini-x", "contents": HI}}
    assert CODEC.decode_request(wrapped).model == "gemini-x"


@pytest.mark.parametrize(
    "contents",
    [
        "hi",
        ["hi"],
        {"parts": {"text": "hi"}},
        [{"parts": ["hi"]}],
        [{"text": "hi"}],
        HI,
        [{"role": "function", "parts": [{"text": "hi"}]}],
    ],
    ids=str,
)
def test_contents_come_in_many_forms(contents: Any) -> None:
    assert read(contents=contents).turns == (Turn("user", (Text("hi"),)),)


def test_missing_roles_alternate() -> None:
    contents = [{"parts": [{"text": t}]} for t in "abc"]
    assert [turn.role for turn in read(contents=contents).turns] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    "instruction",
    ["S", {"parts": [{"text": "S"}], "role": "user"}, {"parts": {"text": "S"}}, ["S"], {"text": "S"}],
    ids=str,
)
@pytest.mark.parametrize("name", ["systemInstruction", "system_instruction"])
def test_the_system_prompt_comes_in_many_forms(name: str, instruction: Any) -> None:
    assert read(**{name: instruction}).system == (Text("S"),)


PARTS: list[tuple[dict[str, Any], Part]] = [
    ({"text": "a"}, Text("a")),
    ({"text": "a", "thoughtSignature": "c2ln"}, Text("a", SIGNED)),
    ({"text": "a", "thought_signature": "c2ln"}, Text("a", SIGNED)),
    ({"text": "a", "thought": True}, Thinking("a")),
    ({"thought": True, "thoughtSignature": "c2ln"}, Thinking("", SIGNED)),
    ({"inlineData": {"mimeType": "image/png", "data": "x"}}, Media("image", mime="image/png", data="x")),
    ({"inline_data": {"mime_type": "audio/wav", "data": "x"}}, Media("audio", mime="audio/wav", data="x")),
    (
        {"inlineData": {"mime_type": "application/pdf", "data": "x"}},
        Media("document", mime="application/pdf", data="x"),
    ),
    (
        {"fileData": {"fileUri": "gs://b/f.mp4", "mimeType": "video/mp4"}},
        Media("video", mime="video/mp4", url="gs://b/f.mp4"),
    ),
    ({"file_data": {"file_uri": "https://youtu.be/x"}}, Media("video", url="https://youtu.be/x")),
    ({"functionCall": {"name": "f", "args": {"a": 1}, "id": "i"}}, ToolCall("i", "f", {"a": 1}, '{"a":1}')),
    (
        {"function_call": {"name": "f"}, "thought_signature": "c2ln"},
        ToolCall("call_1_f", "f", {}, "{}", signature=SIGNED),
    ),
    (
        {"executableCode": {"code": "1"}},
        Opaque("gemini", "executableCode", {"executableCode": {"code": "1"}}, "```\n1\n```"),
    ),
    (
        {"toolCall": {"x": 1}, "thoughtSignature": "c2ln"},
        Opaque("gemini", "toolCall", {"toolCall": {"x": 1}, "thoughtSignature": "c2ln"}),
    ),
]


@pytest.mark.parametrize(("raw", "part"), PARTS, ids=[str(raw)[:50] for raw, _ in PARTS])
def test_a_part(raw: dict[str, Any], part: Part) -> None:
    assert read(contents=[{"role": "model", "parts": [raw]}]).turns == (Turn("assistant", (part,)),)


@pytest.mark.parametrize("dummy", ["skip_thought_signature_validator", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="])
def test_the_dummy_is_no_signature(dummy: str) -> None:
    part = read(contents=[{"role": "model", "parts": [{"text": "a", "thoughtSignature": dummy}]}]).turns[0].parts[0]
    assert part == Text("a")


def test_another_vendors_signature_is_unwrapped_in_either_alphabet() -> None:
    claude = Signature("anthropic", "E>>???")
    for spelled in (wrap(claude), wrap(claude).replace("+", "-").replace("/", "_")):
        part = {"text": "hm", "thought": True, "thoughtSignature": spelled}
        assert read(contents=[{"role": "model", "parts": [part]}]).turns[0].parts == (Thinking("hm", claude),)


@pytest.mark.parametrize(
    ("response", "parts", "is_error"),
    [
        ({"output": "ok"}, (Text("ok"),), False),
        ({"result": {"t": 12}}, (Text('{"t":12}'),), False),
        ({"error": "boom"}, (Text("boom"),), True),
        ({"name": "f", "content": "ok"}, (Text("ok"),), False),
        ({"output": "ok", "error": None}, (Text('{"output":"ok","error":null}'),), False),
        ({"output": ""}, (), False),
        ({}, (), False),
        (None, (), False),
    ],
    ids=str,
)
def test_a_result(response: Any, parts: tuple[Any, ...], is_error: bool) -> None:
    row = {"functionResponse": {"name": "f", "id": "i", "response": response}}
    call = {"functionCall": {"name": "f", "id": "i"}}
    turns = read(contents=[{"role": "model", "parts": [call]}, {"role": "user", "parts": [row]}]).turns
    assert turns[1].parts == (ToolResult("i", parts, is_error=is_error, name="f"),)


def test_a_result_may_hold_media() -> None:
    row = {"name": "f", "response": {"output": "ok"}, "parts": [{"inlineData": {"mimeType": "image/png", "data": "x"}}]}
    result = read(contents=[{"role": "user", "parts": [{"functionResponse": row}]}]).turns[0].parts[0]
    assert isinstance(result, ToolResult)
    assert result.parts == (Text("ok"), Media("image", mime="image/png", data="x"))


def ids(*contents: tuple[str, list[tuple[str, str]]]) -> list[str]:
    """The ids after decoding: each content is a role and (name, id) pairs."""
    field = {"model": "functionCall", "user": "functionResponse"}
    rows = [
        {"role": role, "parts": [{field[role]: {"name": n, **({"id": i} if i else {})}} for n, i in held]}
        for role, held in contents
    ]
    found = [part for turn in read(contents=rows).turns for part in turn.parts]
    return [
        part.id if isinstance(part, ToolCall) else part.call_id
        for part in found
        if isinstance(part, ToolCall | ToolResult)
    ]


def test_results_without_ids_are_paired_by_name_first_in_first_out() -> None:
    found = ids(("model", [("f", ""), ("g", ""), ("f", "")]), ("user", [("g", ""), ("f", ""), ("f", "")]))
    assert found == ["call_1_f", "call_2_g", "call_3_f", "call_2_g", "call_1_f", "call_3_f"]


def test_results_under_another_name_are_paired_by_place() -> None:
    assert ids(("model", [("f", ""), ("g", "")]), ("user", [("x", ""), ("g", "")])) == ["call_1_f", "call_2_g"] * 2


def test_made_ids_never_repeat_nor_meet_given_ones() -> None:
    turn = [("model", [("read", "")]), ("user", [("read", "")])]
    assert ids(*turn, *turn) == ["call_1_read"] * 2 + ["call_2_read"] * 2
    assert ids(("model", [("f", ""), ("f", "call_1_f")]), ("user", [("f", "call_1_f"), ("f", "")])) == [
        "call_2_f",
        "call_1_f",
        "call_1_f",
        "call_2_f",
    ]


def test_the_same_conversation_has_the_same_ids_again() -> None:
    turn = [("model", [("read", "")]), ("user", [("read", "")])]
    assert ids(*turn)[:2] == ids(*turn, *turn)[:2]


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
DECLARATIONS: list[tuple[dict[str, Any], Tool]] = [
    ({"name": "f"}, Tool("f")),
    ({"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}, Tool("f", "d", SCHEMA)),
    ({"name": "f", "parameters_json_schema": SCHEMA}, Tool("f", schema=SCHEMA)),
    (
        {"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}},
        Tool("f", schema=SCHEMA),
    ),
    ({"name": "f", "behavior": "BLOCKING"}, Tool("f", protocol="gemini", extra={"behavior": "BLOCKING"})),
]


@pytest.mark.parametrize(("declaration", "tool"), DECLARATIONS, ids=[str(row)[:60] for row, _ in DECLARATIONS])
@pytest.mark.parametrize("name", ["functionDeclarations", "function_declarations"])
def test_a_declaration(name: str, declaration: dict[str, Any], tool: Tool) -> None:
    assert read(tools=[{name: [declaration]}]).tools == (tool,)
    assert read(tools={name: [declaration]}).tools == (tool,)


def test_types_are_lower_case_in_schemas_and_left_alone_in_names() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "max_length": "5"},
            "snake_case": {
                "any_of": [{"type": "INTEGER"}, {"type": "ARRAY", "items": {"type": "NUMBER"}}],
                "nullable": True,
            },
        },
        "property_ordering": ["snake_case", "type"],
    }
    decoded = read(tools=[{"functionDeclarations": [{"name": "f", "parameters": schema}]}]).tools[0].schema
    assert decoded == {
        "type": "object",
        "properties": {
            "type": {"type": ["string", "null"], "maxLength": 5},
            "snake_case": {
                "anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "number"}}, {"type": "null"}]
            },
        },
    }
    assert list(decoded["properties"]) == ["snake_case", "type"]


def test_googles_own_tools() -> None:
    tools = [{"googleSearch": {}}, {"url_context": {}}, {"codeExecution": {}}, {"googleMaps": {"x": 1}}]
    assert read(tools=tools).hosted_tools == (
        HostedTool("web_search", "gemini", {"googleSearch": {}}),
        HostedTool("web_fetch", "gemini", {"url_context": {}}),
        HostedTool("code_execution", "gemini", {"codeExecution": {}}),
        HostedTool("googleMaps", "gemini", {"googleMaps": {"x": 1}}),
    )


@pytest.mark.parametrize(
    ("config", "choice"),
    [
        ({}, ToolChoice()),
        ({"functionCallingConfig": {"mode": "AUTO"}}, ToolChoice()),
        ({"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}}, ToolChoice("required", ("f",))),
        ({"functionCallingConfig": {"mode": "NONE"}}, ToolChoice("none")),
    ],
)
def test_the_choice_of_tools(config: dict[str, Any], choice: ToolChoice) -> None:
    assert read(toolConfig=config).tool_choice == choice
    assert read(tool_config=config).tool_choice == choice


def test_validated_calling_is_automatic_elsewhere() -> None:
    request = read(toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}})
    assert request.tool_choice == ToolChoice()
    assert request.extras == (Extra("gemini", "toolConfig.functionCallingConfig.mode", "VALIDATED"),)


def test_generation() -> None:
    config = {
        "temperature": 0.5,
        "topP": 0.9,
        "top_k": 40.0,
        "candidateCount": 2,
        "max_output_tokens": 100,
        "stopSequences": ["x"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequency_penalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseModalities": ["TEXT"],
    }
    for name in ("generationConfig", "generation_config"):
        request = read(**{name: config})
        assert request.sampling == Sampling(0.5, 0.9, 40, 7, 0.1, 0.2, True, 3)
        assert (request.choices, request.max_tokens, request.stop, request.extras) == (2, 100, ("x",), ())


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({}, Reasoning()),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, Reasoning("high", visible=True)),
        ({"thinking_level": "low"}, Reasoning("low")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning()),
        ({"thinking_budget": 100, "include_thoughts": False}, Reasoning(budget=100, visible=False)),
        ({"thinkingBudget": 0}, Reasoning("off")),
        ({"thinkingBudget": -1}, Reasoning("auto")),
    ],
)
def test_thinking(config: dict[str, Any], reasoning: Reasoning) -> None:
    assert read(generationConfig={"thinkingConfig": config}).reasoning == reasoning


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "text/plain"}, OutputFormat()),
        ({"response_mime_type": "application/json"}, OutputFormat("json")),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "OBJECT"}},
            OutputFormat("schema", {"type": "object"}),
        ),
        (
            {"responseMimeType": "application/json", "response_schema": {"type": "STRING"}},
            OutputFormat("schema", {"type": "string"}),
        ),
        (
            {"responseFormat": {"text": {"mimeType": "APPLICATION_JSON", "schema": SCHEMA}}},
            OutputFormat("schema", SCHEMA),
        ),
    ],
)
def test_structured_output(config: dict[str, Any], output: OutputFormat) -> None:
    assert read(generationConfig=config).output == output


def test_what_only_gemini_knows_is_kept() -> None:
    video = {"fileData": {"fileUri": "gs://b/v"}, "videoMetadata": {"fps": 1}}
    request = read(
        contents=[{"parts": [video]}],
        safetySettings=[{"category": "x"}],
        cached_content="cachedContents/1",
        labels={},
        generationConfig={"mediaResolution": "LOW", "speech_config": {"x": 1}},
        toolConfig={"includeServerSideToolInvocations": True},
    )
    assert request.extras == (
        Extra("gemini", "safetySettings", [{"category": "x"}]),
        Extra("gemini", "cachedContent", "cachedContents/1"),
        Extra("gemini", "toolConfig.includeServerSideToolInvocations", True),
        Extra("gemini", "generationConfig.mediaResolution", "LOW"),
        Extra("gemini", "generationConfig.speechConfig", {"x": 1}),
        Extra("gemini", "contents[0].parts[0].videoMetadata", {"fps": 1}),
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": None}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": 7}, "contents"),
        ({"contents": [7]}, "contents[0]"),
        ({"contents": [{"role": "robot", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": 7}]}, "contents[0].parts"),
        ({"contents": [{"parts": [7]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 7}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": 7}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": [{"parts": [{"functionResponse": 7}]}]}, "contents[0].parts[0].functionResponse"),
        ({"systemInstruction": 7}, "systemInstruction"),
        ({"tools": 7}, "tools"),
        ({"tools": [7]}, "tools[0]"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"tools": [{"functionDeclarations": 7}]}, "tools[0].functionDeclarations"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": 7}]}]},
            "tools[0].functionDeclarations[0].parameters",
        ),
        ({"toolConfig": 7}, "toolConfig"),
        ({"generationConfig": 7}, "generationConfig"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"responseLogprobs": 1}}, "generationConfig.responseLogprobs"),
        ({"generationConfig": {"stopSequences": [7]}}, "generationConfig.stopSequences"),
        ({"generationConfig": {"thinkingConfig": 7}}, "generationConfig.thinkingConfig"),
    ],
    ids=str,
)
def test_a_wrong_type_is_refused_by_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        CODEC.decode_request({"contents": HI, **body})
    assert (caught.value.failure.kind, caught.value.failure.param) == ("bad_request", param)
    assert caught.value.failure.message.startswith(param)
