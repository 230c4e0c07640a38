"""Tool definitions and choices, in both directions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, ToolChoice
from bm.names import ANTHROPIC
from bm.protocols.anthropic.cache_control import decode_mark, encode_mark
from bm.protocols.json_schema.subsets import object_schema
from bm.protocols.reading import boolean, elements, mapping, refuse, required_string, string
from bm.protocols.tools import as_function, described, own_members, search_options

_TOOL = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control"})
_MODES: dict[str, Literal["auto", "required", "none"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "required",
    "none": "none",
}
_VERSION = re.compile(r"_\d{8}$")
_HOSTED: dict[str, Json] = {
    "web_search": {"type": "web_search_20250305", "name": "web_search"},
    "web_fetch": {"type": "web_fetch_20250910", "name": "web_fetch"},
    "code_execution": {"type": "code_execution_20250825", "name": "code_execution"},
}
"""The versions that every model with the tool takes; used for clients of other protocols."""
_SEARCH = ("allowed_domains", "blocked_domains", "user_location", "max_uses")


def decode_tools(body: Json) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """The client's own tools, and those that Anthropic defines: every `type` except `custom`."""
    tools: list[Tool] = []
    hosted: list[HostedTool] = []
    for raw, place in elements(body, "tools"):
        kind = string(raw, "type", place)
        if kind in ("", "custom"):
            tools.append(_tool(raw, place))
        else:
            hosted.append(HostedTool(_VERSION.sub("", kind), ANTHROPIC, raw))
    return tuple(tools), tuple(hosted)


def _tool(raw: Json, place: str) -> Tool:
    return Tool(
        name=required_string(raw, "name", place),
        description=string(raw, "description", place),
        schema=mapping(raw, "input_schema", place),
        strict=boolean(raw, "strict", place),
        cache=decode_mark(raw, place),
        protocol=ANTHROPIC,
        extra={name: member for name, member in raw.items() if name not in _TOOL and member is not None},
    )


def decode_choice(body: Json) -> ToolChoice:
    """`auto`, `any`, `tool` with its name, or `none`."""
    raw = mapping(body, "tool_choice")
    if not raw:
        return ToolChoice()
    single = boolean(raw, "disable_parallel_tool_use", "tool_choice")
    parallel = None if single is None else not single
    if (kind := string(raw, "type", "tool_choice")) not in _MODES:
        raise refuse("tool_choice.type", "expected auto, any, tool or none")
    names = (required_string(raw, "name", "tool_choice"),) if kind == "tool" else ()
    return ToolChoice(_MODES[kind], names, parallel)


def encode_tools(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> list[Json]:
    """The `tools` of the body. A choice among some of them is expressed by leaving out all others.

    Where signatures of earlier thinking cover the tools, all of them stay and words express the choice.
    """
    allowed = request.tool_choice.names if _is_subset(request.tool_choice) else ()
    if allowed and capabilities.thinking_bound:
        losses.append(Loss("tool_choice", "asked for in words: earlier thinking is bound to the set of tools"))
        allowed = ()
    tools = [
        _encode_tool(tool, f"tools[{number}]", losses)
        for number, tool in enumerate(request.tools)
        if not allowed or tool.name in allowed
    ]
    for hosted in request.hosted_tools:
        if hosted.protocol == ANTHROPIC:
            tools.append(_without_empty_domains(hosted.raw))
        elif hosted.kind in _HOSTED:
            tools.append(_HOSTED[hosted.kind] | search_options(hosted, _SEARCH, losses))
        else:
            losses.append(Loss(f"tools ({hosted.kind})", "Anthropic runs no such tool"))
    return tools


def _encode_tool(tool: Tool, place: str, losses: list[Loss]) -> Json:
    native = tool.protocol == ANTHROPIC
    tool = as_function(tool, place, losses)
    body = described(tool) | {"input_schema": object_schema(tool.schema)}
    if native and tool.strict is not None:
        body["strict"] = tool.strict
    elif tool.strict:
        losses.append(Loss(f"{place}.strict", "Anthropic's strict mode takes other schemas; sent without it"))
    body |= own_members(tool, ANTHROPIC, place, losses)
    if tool.cache is not None:
        body["cache_control"] = encode_mark(tool.cache)
    return body


def _without_empty_domains(raw: Json) -> Json:
    """Remove empty domain lists: the API refuses them, and clients that send them mean no restriction."""
    return {
        name: value
        for name, value in raw.items()
        if not (name in ("allowed_domains", "blocked_domains") and value == [])
    }


def _is_subset(choice: ToolChoice) -> bool:
    """Whether some of the tools may be called, and not one certain tool must be."""
    return len(choice.names) > 1 or (choice.mode == "auto" and bool(choice.names))


def choice_in_words(choice: ToolChoice, capabilities: Capabilities, *, forced: bool) -> str:
    """The instruction that expresses the choice in words; empty where `tools` and `tool_choice` say all of it."""
    bound = capabilities.thinking_bound and _is_subset(choice)
    if choice.mode == "required" and (bound or not forced):
        return f"Answer with a call of {' or '.join(choice.names) or 'one of the tools'}."
    return f"Call no other tool than {' or '.join(choice.names)}." if bound and choice.mode == "auto" else ""


def encode_choice(choice: ToolChoice, tools: Sequence[Json], losses: list[Loss], *, forced: bool) -> Json | None:
    """The `tool_choice` of the body; None for the default. `forced` is whether a call can be required."""
    if not tools:
        if choice.mode == "required":
            losses.append(Loss("tool_choice", "there is no tool to choose"))
        return None
    body: Json = {"type": "auto"}
    if choice.mode == "none":
        return {"type": "none"}
    if choice.mode == "required" and not forced:
        losses.append(Loss("tool_choice", "the model does not let a call be forced; it is asked for one"))
    elif choice.mode == "required":
        body = {"type": "tool", "name": choice.names[0]} if len(choice.names) == 1 else {"type": "any"}
    if choice.parallel is False:
        body["disable_parallel_tool_use"] = True
    return None if body == {"type": "auto"} else body
