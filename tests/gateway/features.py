"""What clients can ask for, each as the smallest request of one of them that does."""

from __future__ import annotations

from typing import Any

from bm.names import ProtocolName

Body = dict[str, Any]

PNG = "iVBORw0KGgo="
_TOOL = {"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {"at": {}}}}
_FUNCTION = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
_CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]}


def anthropic(*content: Body, **members: Any) -> tuple[ProtocolName, Body]:
    """An Anthropic client's."""
    messages = members.pop("messages", [{"role": "user", "content": [{"type": "text", "text": "hi"}, *content]}])
    return "anthropic", {"model": "m", "max_tokens": 4096, "messages": messages, **members}


def chat(*content: Body, **members: Any) -> tuple[ProtocolName, Body]:
    """An OpenAI client's."""
    messages = members.pop("messages", [{"role": "user", "content": [{"type": "text", "text": "hi"}, *content]}])
    return "openai-chat", {"model": "m", "messages": messages, **members}


def responses(*items: Body, **members: Any) -> tuple[ProtocolName, Body]:
    """A Responses client's."""
    return "openai-responses", {"model": "m", "input": [{"role": "user", "content": "hi"}, *items], **members}


def gemini(*parts: Body, **members: Any) -> tuple[ProtocolName, Body]:
    """A Gemini client's."""
    return "gemini", {"contents": [{"role": "user", "parts": [{"text": "hi"}, *parts]}], **members}


def _result(content: Any, **members: Any) -> tuple[ProtocolName, Body]:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **members}
    ask = {"role": "user", "content": "hi"}
    return anthropic(messages=[ask, _CALL, {"role": "user", "content": [result]}], tools=[_TOOL])


_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
_PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PNG}}
_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}

FEATURES: dict[str, tuple[ProtocolName, Body]] = {
    "system prompt": anthropic(system="Be brief."),
    "system message in mid-conversation": chat(
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "ho"},
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ]
    ),
    "image as data": anthropic(_IMAGE),
    "PDF as data": anthropic(_PDF),
    "audio": chat({"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}}),
    "video": gemini({"inlineData": {"mimeType": "video/mp4", "data": PNG}}),
    "file uploaded to its vendor": anthropic({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
    "tools": anthropic(tools=[_TOOL]),
    "free-form (custom) tools": responses(tools=[{"type": "custom", "name": "patch", "description": "Patches."}]),
    "tool choice: must call": anthropic(tools=[_TOOL], tool_choice={"type": "any"}),
    "tool choice: that tool": chat(tools=[_FUNCTION], tool_choice={"type": "function", "function": {"name": "look"}}),
    "one call at a time": chat(tools=[_FUNCTION], parallel_tool_calls=False),
    "image in a tool result": _result([_IMAGE]),
    "failed tool result": _result("no", is_error=True),
    "web search by the vendor": anthropic(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
    "its limits (`max_uses`)": anthropic(tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]),
    "code execution by the vendor": gemini(tools=[{"codeExecution": {}}]),
    "Google Maps": gemini(tools=[{"googleMaps": {}}]),
    "thinking": anthropic(thinking={"type": "enabled", "budget_tokens": 2048}),
    "structured output by a schema": chat(
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA}}
    ),
    "JSON mode": chat(response_format={"type": "json_object"}),
    "stop sequences": chat(stop=["END"]),
    "temperature": chat(temperature=0.5),
    "top_k": gemini(generationConfig={"topK": 4}),
    "seed": chat(seed=1),
    "penalties": chat(presence_penalty=0.5),
    "log probabilities": chat(logprobs=True),
    "several answers (`n`)": chat(n=2),
    "logit bias": chat(logit_bias={"1": 1}),
    "safety settings": gemini(safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]),
    "cache marks": anthropic({"type": "text", "text": "ho", "cache_control": {"type": "ephemeral"}}),
    "context management": anthropic(context_management={"edits": []}),
}
