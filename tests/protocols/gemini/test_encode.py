"""A request as Gemini gets it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.capabilities import Capabilities
from bm.chat.parts import CacheMark, Media, Opaque, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import (
    ChatRequest,
    Extra,
    HostedTool,
    Loss,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    Turn,
)
from bm.chat.signature import Signature
from bm.errors import RequestError
from bm.protocols.codec import Encoded
from bm.protocols.gemini.codec import CODEC
from bm.protocols.gemini.signatures import DUMMY

CAPABLE = Capabilities(signatures_required=True)
OLD = Capabilities(json_schema=False, media_in_results=False, call_ids=False, search_with_tools=False)
HI = Turn("user", (Text("hi"),))
S1, S2 = Signature("gemini", "c2ln"), Signature("gemini", "b3RoZXI=")
CLAUDE = Signature("anthropic", "Q2xhdWRl")


def encoded(*turns: Turn, capabilities: Capabilities = CAPABLE, protocol: Any = "anthropic", **members: Any) -> Encoded:
    request = ChatRequest(protocol=protocol, model="m", turns=turns or (HI,), **members)
    return CODEC.encode_request(request, capabilities, model="gemini-x")


def contents(*turns: Turn, capabilities: Capabilities = CAPABLE) -> Any:
    return encoded(*turns, capabilities=capabilities).body["contents"]


def call(id: str = "i", name: str = "f", signature: Signature | None = None, **arguments: Any) -> ToolCall:
    return ToolCall(id, name, arguments, signature=signature)


def user(*parts: Any) -> Turn:
    return Turn("user", parts)


def model(*parts: Any) -> Turn:
    return Turn("assistant", parts)


def wire_call(id: str = "i", name: str = "f", signature: str = "", **args: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"id": id, "name": name, "args": args}}
    return {**part, "thoughtSignature": signature} if signature else part


def wire_result(id: str = "i", name: str = "f", **response: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": id, "name": name, "response": response}}


def test_the_model_and_the_stream_are_not_in_the_body() -> None:
    assert encoded(stream=True).body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_system_blocks_are_parts_and_the_billing_line_is_none() -> None:
    system = (Text("x-anthropic-billing-header: cc_version=1;"), Text("A", cache=CacheMark()), Text(""), Text("B"))
    result = encoded(system=system)
    assert result.body["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert result.losses == ()


def test_instructions_in_mid_conversation_stay_in_their_place() -> None:
    rows = contents(HI, model(Text("yes")), Turn("system", (Text("be brief"),)), user(Text("go")))
    reminder = {"text": "<system-reminder>\nbe brief\n</system-reminder>"}
    assert rows[2] == {"role": "user", "parts": [reminder, {"text": "go"}]}


def test_neighbours_of_one_role_are_one_content() -> None:
    assert contents(HI, user(Text("you"))) == [{"role": "user", "parts": [{"text": "hi"}, {"text": "you"}]}]


@pytest.mark.parametrize(
    "turns", [[Turn("user", ())], [model(Text("a"))], [user(Text(""))]], ids=["empty", "model", "blank"]
)
def test_there_is_always_a_user_content(turns: list[Turn]) -> None:
    assert contents(*turns)[0] == {"role": "user", "parts": [{"text": " "}]}


def test_results_come_first_in_the_order_of_the_calls_with_their_names() -> None:
    rows = contents(
        HI,
        model(Text("let me"), call("a", "f"), call("b", "g")),
        user(Text("there"), ToolResult("b", (Text("B"),)), ToolResult("a", (Text("A"),))),
        capabilities=Capabilities(),
    )
    assert rows[1]["parts"] == [{"text": "let me"}, wire_call("a", "f"), wire_call("b", "g")]
    assert rows[2]["parts"] == [wire_result("a", "f", output="A"), wire_result("b", "g", output="B"), {"text": "there"}]


def test_a_call_without_a_result_gets_one() -> None:
    rows = contents(HI, model(call("a"), call("b")), user(ToolResult("a", (Text("A"),))))
    assert [part["functionResponse"]["id"] for part in rows[2]["parts"]] == ["a", "b"]
    assert "error" in rows[2]["parts"][1]["functionResponse"]["response"]


@pytest.mark.parametrize(
    ("result", "response"),
    [
        (ToolResult("i", (Text("ok"),)), {"output": "ok"}),
        (ToolResult("i", (Text("a"), Text("b"))), {"output": "a\nb"}),
        (ToolResult("i", (Text("boom"),), is_error=True), {"error": "boom"}),
        (ToolResult("i", (Text('{"$ref":"#/defs/A"}'),)), {"output": '{"$ref":"#/defs/A"}'}),
        (ToolResult("i", ()), {"output": "(no output)"}),
        (ToolResult("i", (Text(""),)), {"output": "(no output)"}),
        (ToolResult("i", (Opaque("anthropic", "tool_reference", {}, "loaded Read"),)), {"output": "loaded Read"}),
        (ToolResult("i", (Media("document", text="T", name="N"),)), {"output": "N\nT"}),
    ],
)
def test_a_result_is_a_string(result: ToolResult, response: dict[str, str]) -> None:
    assert contents(HI, model(call()), user(result))[2]["parts"] == [wire_result(**response)]


PNG = Media("image", mime="image/png", data="iVBORw0")
GIF = Media("image", mime="image/gif", data="R0lGOD")
INLINE_PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0"}}
INLINE_GIF = {"inlineData": {"mimeType": "image/gif", "data": "R0lGOD"}}


def test_images_in_results_stand_inside_where_the_model_takes_them() -> None:
    parts = contents(HI, model(call()), user(ToolResult("i", (Text("see"), PNG, GIF))))[2]["parts"]
    response = {"id": "i", "name": "f", "response": {"output": "see"}, "parts": [INLINE_PNG]}
    assert parts == [{"functionResponse": response}, INLINE_GIF]


def test_images_in_results_stand_behind_all_results_elsewhere() -> None:
    results = user(ToolResult("a", (PNG,)), ToolResult("b", (Text("ok"),)), Text("go"))
    parts = contents(HI, model(call("a"), call("b", "g")), results, capabilities=OLD)[2]["parts"]
    assert parts == [
        {"functionResponse": {"name": "f", "response": {"output": "(see the attached file)"}}},
        {"functionResponse": {"name": "g", "response": {"output": "ok"}}},
        INLINE_PNG,
        {"text": "go"},
    ]


def test_models_without_call_ids_get_none() -> None:
    rows = contents(HI, model(call()), user(ToolResult("i", (Text("ok"),))), capabilities=OLD)
    assert rows[1]["parts"] == [{"functionCall": {"name": "f", "args": {}}}]


def test_an_argument_called_like_a_keyword_arrives() -> None:
    rows = contents(HI, model(call(cache_control={"type": "x"}, title="t")), capabilities=Capabilities())
    assert rows[1]["parts"][0]["functionCall"]["args"] == {"cache_control": {"type": "x"}, "title": "t"}


MEDIA: list[tuple[Media, dict[str, Any]]] = [
    (PNG, INLINE_PNG),
    (Media("image", data="/9j/4AA"), {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/4AA"}}),
    (Media("audio", data="x"), {"inlineData": {"mimeType": "audio/wav", "data": "x"}}),
    (Media("document", text="T"), {"text": "T"}),
    (Media("document", text="T", name="Title"), {"text": "Title\nT"}),
    (
        Media("video", url="https://www.youtube.com/watch?v=x"),
        {"fileData": {"fileUri": "https://www.youtube.com/watch?v=x"}},
    ),
    (
        Media("document", mime="application/pdf", url="gs://b/x"),
        {"fileData": {"fileUri": "gs://b/x", "mimeType": "application/pdf"}},
    ),
    (
        Media("image", url="https://generativelanguage.googleapis.com/v1beta/files/x"),
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}},
    ),
]


@pytest.mark.parametrize(("media", "part"), MEDIA)
def test_media(media: Media, part: dict[str, Any]) -> None:
    assert contents(user(media))[0]["parts"] == [part]


@pytest.mark.parametrize(
    ("protocol", "turns", "param"),
    [
        ("anthropic", [HI, user(Text("a"), Media("image", url="https://a.example/x.png"))], "messages[1].content[1]"),
        ("openai-responses", [user(Media("image", url="http://a.example/x"))], "input[0].content[0]"),
        ("gemini", [user(Media("image", file_id="file_1"))], "contents[0].parts[0]"),
        (
            "anthropic",
            [HI, model(call()), user(ToolResult("i", (Media("image", url="https://a.example"),)))],
            "messages[2].content[0] (tool result)",
        ),
    ],
)
def test_media_that_nobody_fetched_is_refused_by_its_place(protocol: Any, turns: list[Turn], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        encoded(*turns, protocol=protocol)
    assert caught.value.failure.param == param
    assert caught.value.failure.kind == "bad_request"


def test_media_that_the_model_does_not_take_is_refused() -> None:
    with pytest.raises(RequestError, match="does not take images"):
        encoded(user(PNG), capabilities=Capabilities(images=False))


def test_opaque_parts() -> None:
    code = {"executableCode": {"code": "1"}}
    turn = model(
        Opaque("gemini", "executableCode", code),
        Opaque("openai", "x", {}, "sum"),
        Opaque("anthropic", "y", {}),
        Refusal("no"),
    )
    result = encoded(HI, turn)
    assert result.body["contents"][1]["parts"] == [code, {"text": "sum"}, {"text": "no"}]
    assert result.losses == (Loss("messages[1].content[2] (y)", "Gemini has no such part"),)


def test_parallel_calls_keep_the_one_signature_on_the_first() -> None:
    rows = contents(HI, model(call("a", signature=S1), call("b")))
    assert rows[1]["parts"] == [wire_call("a", signature="c2ln"), wire_call("b")]


def test_each_step_of_the_current_turn_carries_its_own_signature() -> None:
    old = [HI, model(call("x"), Text("done")), user(ToolResult("x", (Text("r"),)))]
    steps = [
        model(call("a", signature=S1)),
        user(ToolResult("a")),
        model(call("b", signature=S2)),
        user(ToolResult("b")),
    ]
    rows = contents(*old, model(Text("done")), user(Text("next")), *steps)
    signatures = [part.get("thoughtSignature") for row in rows for part in row["parts"] if "functionCall" in part]
    assert signatures == [None, "c2ln", "b3RoZXI="]


def test_another_vendors_thinking_is_dropped_and_its_calls_get_the_dummy() -> None:
    rows = contents(
        user(Text("a")),
        model(Thinking("hm", CLAUDE), Text("b", CLAUDE), call("a", signature=CLAUDE), call("b")),
        user(ToolResult("a"), ToolResult("b")),
        model(Thinking("hm", CLAUDE), call("c")),
    )
    assert rows[1]["parts"] == [{"text": "b"}, wire_call("a", signature=DUMMY), wire_call("b")]
    assert rows[3]["parts"] == [wire_call("c", signature=DUMMY)]


def test_the_dummy_stands_only_where_signatures_are_required() -> None:
    assert contents(HI, model(call()), capabilities=Capabilities())[1]["parts"] == [wire_call()]


def test_another_familys_signature_is_not_replayed() -> None:
    theirs = Signature("gemini", "c2ln", family="gemini-3")
    for family, expected in (("gemini-3", "c2ln"), ("", "c2ln"), ("gemini-4", DUMMY)):
        capabilities = Capabilities(family=family, signatures_required=True)
        assert (
            contents(HI, model(call(signature=theirs)), capabilities=capabilities)[1]["parts"][0]["thoughtSignature"]
            == expected
        )


def test_the_same_signature_is_sent_once_on_the_call() -> None:
    url_safe = Signature("gemini", "c2l-_w")
    standard = Signature("gemini", "c2l+/w==")
    rows = contents(HI, model(Text("a", url_safe), call("a", signature=standard), call("b", signature=url_safe)))
    assert [part.get("thoughtSignature") for part in rows[1]["parts"]] == [None, "c2l+/w==", None]


def test_a_signature_on_thinking_goes_to_the_next_part() -> None:
    rows = contents(HI, model(Thinking("hm", S1), call()))
    assert rows[1]["parts"] == [wire_call(signature="c2ln")]


def test_a_signature_on_an_empty_text_stays_there() -> None:
    assert contents(HI, model(Text("a"), Text("", S1)))[1]["parts"] == [
        {"text": "a"},
        {"text": "", "thoughtSignature": "c2ln"},
    ]


def test_a_long_signature_survives() -> None:
    long = Signature("gemini", "A" * 200_000)
    assert contents(HI, model(call(signature=long)))[1]["parts"][0]["thoughtSignature"] == long.value


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
F = Tool("f", "d", SCHEMA)


def tools(
    *held: Tool, hosted: tuple[HostedTool, ...] = (), capabilities: Capabilities = CAPABLE, **members: Any
) -> Any:
    body = encoded(capabilities=capabilities, tools=held, hosted_tools=hosted, **members).body
    return body.get("tools"), body.get("toolConfig")


def test_all_declarations_are_in_one_tool() -> None:
    declared = [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}, {"name": "g"}]
    assert tools(F, Tool("g")) == ([{"functionDeclarations": declared}], None)


def test_older_models_get_the_subset() -> None:
    subset = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]}
    found, _ = tools(F, capabilities=OLD)
    assert found == [{"functionDeclarations": [{"name": "f", "description": "d", "parameters": subset}]}]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": False},
    ],
)
@pytest.mark.parametrize("capabilities", [CAPABLE, OLD], ids=["json-schema", "openapi"])
def test_a_tool_without_arguments_has_no_parameters(schema: Any, capabilities: Capabilities) -> None:
    assert tools(Tool("f", schema=schema), capabilities=capabilities) == (
        [{"functionDeclarations": [{"name": "f"}]}],
        None,
    )


def test_a_custom_tool_takes_its_input_as_an_argument() -> None:
    found, _ = tools(Tool("f", kind="custom"))
    assert found[0]["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["input"]


def test_geminis_own_members_of_a_declaration_are_written_again() -> None:
    found, _ = tools(Tool("f", protocol="gemini", extra={"behavior": "BLOCKING"}))
    assert found == [{"functionDeclarations": [{"name": "f", "behavior": "BLOCKING"}]}]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (ToolChoice(), None),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("required", ("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice("auto", ("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice(parallel=False), None),
    ],
)
def test_the_choice_of_tools(choice: ToolChoice, config: Any) -> None:
    assert tools(F, tool_choice=choice)[1] == (None if config is None else {"functionCallingConfig": config})


def test_a_strict_tool_has_its_arguments_validated() -> None:
    assert tools(Tool("f", schema=SCHEMA, strict=True))[1] == {"functionCallingConfig": {"mode": "VALIDATED"}}


def test_a_choice_without_tools_is_not_sent() -> None:
    assert tools(tool_choice=ToolChoice("required")) == (None, None)


SEARCH = HostedTool("web_search", "anthropic", {"type": "web_search_20250305", "name": "web_search", "max_uses": 8})


def test_hosted_tools() -> None:
    hosted = (SEARCH, HostedTool("code_execution", "anthropic", {}), HostedTool("web_fetch", "anthropic", {}))
    assert tools(hosted=hosted)[0] == [{"googleSearch": {}}, {"codeExecution": {}}, {"urlContext": {}}]
    assert tools(hosted=(HostedTool("googleMaps", "gemini", {"googleMaps": {"x": 1}}),))[0] == [
        {"googleMaps": {"x": 1}}
    ]


def test_functions_and_search_go_together_where_the_model_can() -> None:
    found, config = tools(F, hosted=(SEARCH,))
    assert [list(row) for row in found] == [["functionDeclarations"], ["googleSearch"]]
    assert config == {"includeServerSideToolInvocations": True}


def test_search_yields_to_functions_elsewhere() -> None:
    result = encoded(capabilities=OLD, tools=(F,), hosted_tools=(SEARCH,))
    assert [list(row) for row in result.body["tools"]] == [["functionDeclarations"]]
    assert result.losses == (Loss("tools (googleSearch)", "this model does not combine it with functions"),)


def test_what_search_cannot_filter_and_who_else_is_unknown_is_told() -> None:
    search = HostedTool("web_search", "anthropic", {"allowed_domains": ["a.example"], "blocked_domains": []})
    result = encoded(hosted_tools=(search, HostedTool("file_search", "openai-responses", {})))
    assert [loss.field for loss in result.losses] == ["tools (web_search).allowed_domains", "tools (file_search)"]


@pytest.mark.parametrize("kind", ["bash_20250124", "text_editor_20250728", "memory_20250818"])
def test_anthropics_typed_tools_get_their_schema(kind: str) -> None:
    raw = {"type": kind, "name": "tool"}
    as_tool = Tool("tool", protocol="anthropic", extra={"type": kind})
    for held, hosted in (((), (HostedTool(kind, "anthropic", raw),)), ((as_tool,), ())):
        found, _ = tools(*held, hosted=hosted)
        assert "command" in found[0]["functionDeclarations"][0]["parametersJsonSchema"]["properties"]
        assert found[0]["functionDeclarations"][0]["name"] == "tool"


def test_the_computer_tool_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="computer"):
        tools(hosted=(HostedTool("computer_20250124", "anthropic", {"type": "computer_20250124"}),))


def generation(capabilities: Capabilities = CAPABLE, **members: Any) -> Any:
    return encoded(capabilities=capabilities, **members).body.get("generationConfig")


def test_sampling() -> None:
    sampling = Sampling(3.0, 0.9, 40, 2**31, 0.1, 0.2, True, 5)
    assert generation(sampling=sampling, choices=2, stop=("a", "", "b")) == {
        "stopSequences": ["a", "b"],
        "candidateCount": 2,
        "temperature": 2.0,
        "topP": 0.9,
        "topK": 40,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "seed": -(2**31),
        "responseLogprobs": True,
        "logprobs": 5,
    }


def test_what_the_model_does_not_sample_by_is_told() -> None:
    capabilities = Capabilities(sampling=False, penalties=False)
    sampling = Sampling(1.0, 0.9, 40, presence_penalty=0.1, frequency_penalty=0.0)
    result = encoded(capabilities=capabilities, sampling=sampling)
    assert "generationConfig" not in result.body
    assert [loss.field for loss in result.losses] == ["temperature", "top_p", "top_k", "presence_penalty"]


@pytest.mark.parametrize(("asked", "most", "sent"), [(100, 0, 100), (128_000, 0, 65_536), (128_000, 8192, 8192)])
def test_max_tokens_are_what_the_model_can_answer(asked: int, most: int, sent: int) -> None:
    result = encoded(capabilities=Capabilities(max_output=most), max_tokens=asked)
    assert result.body["generationConfig"] == {"maxOutputTokens": sent}
    assert result.losses == ()


def test_no_tokens_at_all_are_refused() -> None:
    with pytest.raises(RequestError, match="max_tokens"):
        encoded(max_tokens=0)


def test_the_first_five_stop_sequences_are_sent() -> None:
    result = encoded(stop=tuple("abcdef"))
    assert result.body["generationConfig"]["stopSequences"] == list("abcde")
    assert result.losses == (Loss("stop_sequences", "Gemini takes the first 5 of 6"),)


JSON_ONLY = {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("output", "capabilities", "config", "lost"),
    [
        (OutputFormat("json"), CAPABLE, JSON_ONLY, []),
        (OutputFormat("schema", SCHEMA, name="n"), CAPABLE, {**JSON_ONLY, "responseJsonSchema": SCHEMA}, []),
        (OutputFormat("schema", {"type": "string"}), OLD, {**JSON_ONLY, "responseSchema": {"type": "STRING"}}, []),
        (OutputFormat("schema", {"type": "object"}), OLD, JSON_ONLY, []),
        (
            OutputFormat("schema", SCHEMA),
            Capabilities(structured_output="json"),
            JSON_ONLY,
            ["output_config.format.schema"],
        ),
        (OutputFormat("json"), Capabilities(structured_output="none"), None, ["output_config.format"]),
    ],
)
def test_structured_output(output: OutputFormat, capabilities: Capabilities, config: Any, lost: list[str]) -> None:
    result = encoded(capabilities=capabilities, output=output)
    assert result.body.get("generationConfig") == config
    assert [loss.field for loss in result.losses] == lost


def test_structured_output_yields_to_tools_where_they_do_not_combine() -> None:
    result = encoded(capabilities=Capabilities(structured_with_tools=False), output=OutputFormat("json"), tools=(F,))
    assert "generationConfig" not in result.body
    assert [loss.field for loss in result.losses] == ["output_config.format"]


def test_extras_of_gemini_are_written_again() -> None:
    extras = (
        Extra("gemini", "safetySettings", [{"category": "x"}]),
        Extra("gemini", "generationConfig.mediaResolution", "LOW"),
        Extra("gemini", "toolConfig.functionCallingConfig.mode", "VALIDATED"),
        Extra("gemini", "contents[0].parts[0].videoMetadata", {"fps": 1}),
    )
    result = encoded(protocol="gemini", extras=extras)
    assert result.body["safetySettings"] == [{"category": "x"}]
    assert result.body["generationConfig"] == {"mediaResolution": "LOW"}
    assert result.body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert [loss.field for loss in result.losses] == ["contents[0].parts[0].videoMetadata"]


def test_extras_of_others_are_told_unless_they_mean_nothing_here() -> None:
    extras = (
        Extra("anthropic", "metadata", {}),
        Extra("anthropic", "mcp_servers", []),
        Extra("anthropic", "container", None),
    )
    assert [loss.field for loss in encoded(extras=extras).losses] == ["mcp_servers", "container"]


@pytest.mark.parametrize(
    "extra",
    [Extra("anthropic", "container", "c"), Extra("openai-responses", "previous_response_id", "r")],
    ids=["container", "previous"],
)
def test_what_lives_elsewhere_is_refused(extra: Extra) -> None:
    with pytest.raises(RequestError) as caught:
        encoded(extras=(extra,))
    assert caught.value.failure.param == extra.field


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
MODEL_PART = st.one_of(st.builds(Text, TEXTS, st.sampled_from([None, S1])))
TALK = st.lists(st.tuples(st.lists(st.builds(Text, TEXTS), min_size=1, max_size=2), MODEL_PART), min_size=1, max_size=4)


@given(TALK, st.integers(1, 65_536), st.sampled_from(["low", "high", None]), st.sampled_from([None, 0.5]))
def test_what_gemini_can_say_comes_back_the_same(talk: Any, limit: int, level: Any, temperature: float | None) -> None:
    signed: set[str] = set()
    turns: list[Turn] = []
    for asked, answer in talk:
        fresh = answer.signature if answer.signature and answer.signature.value not in signed else None
        signed |= {fresh.value} if fresh else set()
        turns += [
            Turn("user", tuple(asked)),
            model(Text(answer.text, fresh), call(f"i{len(turns)}", a=1)),
            user(ToolResult(f"i{len(turns)}", (Text("r"),), name="f")),
        ]
        turns.append(model(Text("so")))
    request = ChatRequest(
        protocol="gemini",
        model="m",
        turns=tuple(turns),
        system=(Text("S"),),
        tools=(F,),
        tool_choice=ToolChoice("required", ("f",)),
        sampling=Sampling(temperature=temperature),
        reasoning=Reasoning(level, visible=True),
        max_tokens=limit,
        stop=("x",),
        output=OutputFormat("schema", SCHEMA),
        stream_usage=True,
    )
    capabilities = Capabilities(thinking="level", levels=("low", "high"))
    again = CODEC.decode_request(CODEC.encode_request(request, capabilities, model="m").body, model="m")
    assert again.turns == tuple(Turn(t.role, tuple(_raw(p) for p in t.parts)) for t in request.turns)
    for name in ("system", "tools", "tool_choice", "sampling", "max_tokens", "stop", "output"):
        assert getattr(again, name) == getattr(request, name)
    assert again.reasoning == request.reasoning or (level is None and limit < 1024)


def _raw(part: Any) -> Any:
    return (
        ToolCall(part.id, part.name, part.arguments, '{"a":1}', signature=part.signature)
        if isinstance(part, ToolCall)
        else part
    )
