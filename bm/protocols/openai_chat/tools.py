"""Tool definitions and choices, in both directions."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, ToolChoice
from bm.chat.thinking import asks_in_words
from bm.names import CHAT
from bm.protocols.openai.content import decode_mark
from bm.protocols.openai.tools import decode_choice as openai_choice
from bm.protocols.openai.tools import decode_tool, described_custom, described_function, tool_name
from bm.protocols.reading import boolean, elements, join, mapping, refuse, required_mapping, string
from bm.protocols.tools import as_function, most_used, own_members
from bm.protocols.turns import LOOKUP


def decode_tools(body: Json) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """Read `tools`, or `functions` from a client of the first form."""
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for raw, place in elements(body, "tools"):
        kind: Any = raw.get("type") or ("custom" if "custom" in raw else "function")
        if kind not in ("function", "custom"):
            hosted.append(HostedTool(string(raw, "type", place), CHAT, raw))
            continue
        # Some clients write the Responses form here, without the inner object.
        nested = kind == "custom" or "function" in raw
        owner, where = (required_mapping(raw, kind, place), join(place, kind)) if nested else (raw, place)
        tool = decode_tool(owner, where, kind, CHAT)
        marked = nested and (mark := decode_mark(raw)) != tool.cache
        tools.append(msgspec.structs.replace(tool, cache=mark) if marked else tool)
    if body.get("tools") is None:
        tools += [decode_tool(raw, place, "function", CHAT) for raw, place in elements(body, "functions")]
    if (search := mapping(body, "web_search_options")) is not None:
        hosted.append(HostedTool("web_search", CHAT, search))
    return tuple(tools), tuple(hosted)


def decode_choice(body: Json) -> ToolChoice:
    """Read `tool_choice`, `function_call` and `parallel_tool_calls`."""
    first_form = body.get("tool_choice") is None and body.get("tools") is None
    key = "function_call" if first_form else "tool_choice"
    choice = openai_choice(body.get(key), boolean(body, "parallel_tool_calls"))
    if choice is None:
        raise refuse(key, 'expected "auto", "none", "required" or an object that names a tool', code="invalid_value")
    return choice


def encode_tools(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    """The members `tools`, `tool_choice`, `parallel_tool_calls` and `web_search_options`."""
    openai = capabilities.dialect.name == "openai"
    body: Json = {}
    kept = most_used(request, capabilities.dialect.max_tools, losses)
    tools = [_encode_tool(tool, index, openai, losses) for index, tool in enumerate(kept)]
    for hosted in request.hosted_tools:
        if hosted.protocol != CHAT and hosted.kind.startswith(LOOKUP):
            continue
        if hosted.protocol != CHAT:
            losses.append(Loss(f"tools ({hosted.kind})", "Chat Completions runs no such tool"))
        elif "type" in hosted.raw:
            tools.append(hosted.raw)
        elif openai:
            body["web_search_options"] = hosted.raw
        else:
            losses.append(Loss("web_search_options", f"{capabilities.dialect.name} has no such member"))
    if not tools:
        return body
    if not capabilities.dialect.mixed_strict:
        _unify_strict(tools)
    choice, offered = _encode_choice(request, tools, capabilities, losses)
    body["tools"] = offered
    if choice is not None:
        body["tool_choice"] = choice
    if request.tool_choice.parallel is not None:
        body["parallel_tool_calls"] = request.tool_choice.parallel
    return body


def _encode_tool(tool: Tool, index: int, openai: bool, losses: list[Loss]) -> Json:
    place = f"tools[{index}]"
    own = own_members(tool, CHAT, place, losses)
    if tool.kind == "custom" and openai:
        return {"type": "custom", "custom": {**described_custom(tool, tool.name, CHAT), **own}}
    function = described_function(as_function(tool, place, losses), tool.name, place, losses)
    return {"type": "function", "function": function | (own if tool.kind == "function" else {})}


def _unify_strict(tools: list[Json]) -> None:
    """Make no tool strict where not all of them are (Cerebras)."""
    functions = [tool["function"] for tool in tools if "function" in tool]
    if not all(function.get("strict") for function in functions):
        for function in functions:
            function.pop("strict", None)


def _encode_choice(
    request: ChatRequest, tools: list[Json], capabilities: Capabilities, losses: list[Loss]
) -> tuple[Any, list[Json]]:
    """The choice, None for the default, and the tools that are offered for it."""
    choice, mode = request.tool_choice, None if request.tool_choice.mode == "auto" else request.tool_choice.mode
    if asks_in_words(request, capabilities):
        losses.append(Loss("tool_choice", "the model does not let a call be forced; it is asked for one"))
        return "auto", tools
    named = [tool for tool in tools if tool_name(tool) in choice.names]
    if mode == "none" or not named:
        return mode, tools
    if mode is not None and (not capabilities.dialect.named_choice or capabilities.forced_tools == "unnamed"):
        return mode, named
    references = [{"type": tool["type"], tool["type"]: {"name": tool_name(tool)}} for tool in named]
    if mode is not None and len(references) == 1:
        return references[0], tools
    if capabilities.dialect.name == "openai":
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": references}}, tools
    # Elsewhere "one of these" can only be expressed by leaving out the others.
    return mode, named
