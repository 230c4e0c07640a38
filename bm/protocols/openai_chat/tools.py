"""Tools and the choice among them, read from a client and written for an upstream."""

from __future__ import annotations

from typing import Any

from bm.chat.capabilities import Capabilities
from bm.chat.parts import CacheMark, Json
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, ToolChoice
from bm.chat.thinking import may_force
from bm.names import CHAT
from bm.protocols.ignorable_fields import lost_tool_fields
from bm.protocols.json_schema.subsets import CUSTOM_TOOL
from bm.protocols.reading import (
    array,
    boolean,
    elements,
    filled_string,
    join,
    mapping,
    mismatch,
    refuse,
    required_mapping,
    string,
)

_KNOWN = {"name", "description", "parameters", "strict"}
TOOL_SEARCH = "tool_search"
"""Other vendors' tools that look up deferred tools: without use where every tool is in the request."""


def decode_tools(body: Json) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """Read `tools`, or `functions` from a client of the first form.

    Raises:
        RequestError: a definition has no name or a member of the wrong type.
    """
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for raw, place in elements(body, "tools"):
        tool = _decode_tool(raw, place)
        if isinstance(tool, Tool):
            tools.append(tool)
        else:
            hosted.append(tool)
    if body.get("tools") is None:
        tools += [_function(raw, place, None) for raw, place in elements(body, "functions")]
    search = mapping(body, "web_search_options")
    if search is not None:
        hosted.append(HostedTool("web_search", CHAT, search))
    return tuple(tools), tuple(hosted)


def _decode_tool(tool: Json, where: str) -> Tool | HostedTool:
    cache = tool.get("cache_control")
    mark = CacheMark(str(cache.get("ttl") or "")) if isinstance(cache, dict) else None
    kind = tool.get("type")
    if kind == "custom" or (kind is None and "custom" in tool):
        place = join(where, "custom")
        custom = required_mapping(tool, "custom", where)
        return Tool(
            filled_string(custom, "name", place, "the tool's name"),
            string(custom, "description", place),
            kind="custom",
            cache=mark,
            protocol=CHAT,
            extra={key: value for key, value in custom.items() if key not in _KNOWN and value is not None},
        )
    if kind in ("function", None):
        # Some clients write the Responses form here, without the inner object.
        nested = "function" in tool
        holder = required_mapping(tool, "function", where) if nested else tool
        return _function(holder, join(where, "function") if nested else where, mark)
    if not isinstance(kind, str):
        raise mismatch(join(where, "type"), "a string", kind)
    return HostedTool(kind, CHAT, tool)


def _function(function: Json, where: str, mark: CacheMark | None) -> Tool:
    extra = {key: value for key, value in function.items() if key not in _KNOWN | {"type", "cache_control"}}
    return Tool(
        filled_string(function, "name", where, "the tool's name"),
        string(function, "description", where),
        schema=mapping(function, "parameters", where),
        strict=boolean(function, "strict", where),
        cache=mark,
        protocol=CHAT,
        extra={key: value for key, value in extra.items() if value is not None},
    )


def decode_choice(body: Json) -> tuple[ToolChoice, frozenset[str] | None]:
    """Read `tool_choice`, `function_call` and `parallel_tool_calls`.

    The second value is set when `allowed_tools` leaves the model a free choice among some of the tools: their names.
    Only OpenAI can be told so, hence the others are left out of the request.

    Raises:
        RequestError: the choice has a form that no client is known to send.
    """
    parallel = boolean(body, "parallel_tool_calls")
    key = "tool_choice"
    if body.get(key) is None and body.get("tools") is None:
        key = "function_call"
    choice = body.get(key)
    match choice:
        case None | "auto" | {"type": "auto"}:
            return ToolChoice("auto", parallel=parallel), None
        case "required" | "any" | {"type": "any"} | {"type": "required"}:
            return ToolChoice("required", parallel=parallel), None
        case "none" | {"type": "none"}:
            return ToolChoice("none", parallel=parallel), None
        case {"type": "allowed_tools"}:
            return _allowed(choice, parallel)
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}} | {"name": str(name)}:
            return ToolChoice("required", (name,), parallel), None
        case _:
            raise refuse(
                key, 'expected "auto", "none", "required" or an object that names a tool', code="invalid_value"
            )


def _allowed(choice: Json, parallel: bool | None) -> tuple[ToolChoice, frozenset[str] | None]:
    allowed = mapping(choice, "allowed_tools", "tool_choice") or choice
    names = [_allowed_name(tool) for tool in array(allowed, "tools", "tool_choice.allowed_tools")]
    known = tuple(name for name in names if name)
    if allowed.get("mode") == "required":
        return ToolChoice("required", known, parallel), None
    return ToolChoice("auto", parallel=parallel), frozenset(known)


def _allowed_name(tool: Any) -> str:
    match tool:
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}} | {"name": str(name)}:
            return name
        case _:
            return ""


def encode_tools(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    """The members `tools`, `tool_choice`, `parallel_tool_calls` and `web_search_options`."""
    openai = capabilities.dialect.name == "openai"
    body: Json = {}
    tools = [_encode_tool(tool, index, openai, losses) for index, tool in enumerate(request.tools)]
    for hosted in request.hosted_tools:
        if hosted.protocol != CHAT and hosted.kind.startswith(TOOL_SEARCH):
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
    choice, offered = _encode_choice(request, tools, capabilities, losses)
    body["tools"] = offered
    if choice is not None:
        body["tool_choice"] = choice
    if request.tool_choice.parallel is not None:
        body["parallel_tool_calls"] = request.tool_choice.parallel
    return body


def _encode_tool(tool: Tool, index: int, openai: bool, losses: list[Loss]) -> Json:
    own = tool.extra if tool.protocol == CHAT else {}
    if tool.protocol != CHAT:
        foreign = lost_tool_fields(tool)
        losses += [Loss(f"tools[{index}].{key}", "Chat Completions has no such member") for key in foreign]
    described: Json = {"name": tool.name}
    if tool.description:
        described["description"] = tool.description
    if tool.kind == "custom" and openai:
        return {"type": "custom", "custom": {**described, **own}}
    if tool.kind == "custom":
        if tool.extra.get("format"):
            losses.append(Loss(f"tools[{index}].format", "the service has no custom tools with a grammar"))
        return {"type": "function", "function": {**described, "parameters": CUSTOM_TOOL}}
    described["parameters"] = tool.schema if tool.schema is not None else {"type": "object", "properties": {}}
    if tool.strict is not None:
        described["strict"] = tool.strict
    return {"type": "function", "function": {**described, **own}}


def _encode_choice(
    request: ChatRequest, tools: list[Json], capabilities: Capabilities, losses: list[Loss]
) -> tuple[Any, list[Json]]:
    choice = request.tool_choice
    if choice.mode != "required":
        return (None if choice.mode == "auto" else choice.mode), tools
    if not may_force(request, capabilities):
        losses.append(Loss("tool_choice", "the model takes no forced tool call"))
        return "auto", tools
    named = [tool for tool in tools if _tool_name(tool) in choice.names]
    if not named:
        return "required", tools
    if not capabilities.dialect.named_choice or capabilities.forced_tools == "unnamed":
        return "required", named
    references = [_reference(tool) for tool in named]
    if len(references) == 1:
        return references[0], tools
    if capabilities.dialect.name == "openai":
        return {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": references}}, tools
    # Elsewhere "one of these" can only be said by offering no others.
    return "required", named


def _tool_name(tool: Json) -> str:
    holder = tool.get("function") or tool.get("custom")
    return str(holder.get("name")) if isinstance(holder, dict) else ""


def _reference(tool: Json) -> Json:
    kind = "custom" if tool.get("type") == "custom" else "function"
    return {"type": kind, kind: {"name": _tool_name(tool)}}
