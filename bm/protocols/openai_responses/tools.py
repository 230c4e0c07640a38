"""Tool definitions and choices, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import msgspec

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, ToolChoice
from bm.names import RESPONSES
from bm.protocols.openai.tools import decode_tool, described_custom, described_function
from bm.protocols.reading import array_of, elements, mapping, object_of, refuse, string, string_of
from bm.protocols.tools import own_members, search_options

_STRING = {"type": "string"}
_STRINGS = {"type": "array", "items": _STRING}
_PATCH = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
        "path": {"type": "string", "description": "The file, relative to the workspace."},
        "diff": {"type": "string", "description": "A V4A diff; not for delete_file."},
    },
    "required": ["type", "path"],
    "additionalProperties": False,
}
SEARCH = "tool_search"
"""The tool by which a client or OpenAI looks up tools that are not among the request's own."""
NATIVE: dict[str, tuple[str, Json]] = {
    "apply_patch": ("Create, update or delete a file.", {"operation": _PATCH}),
    "shell": (
        "Run commands in a shell and return what they print.",
        {"commands": _STRINGS, "timeout_ms": {"type": "integer"}, "max_output_length": {"type": "integer"}},
    ),
    "local_shell": (
        "Run a command, given as its list of arguments, and return what it prints.",
        {
            "command": _STRINGS,
            "working_directory": _STRING,
            "timeout_ms": {"type": "integer"},
            "env": {"type": "object", "additionalProperties": _STRING},
        },
    ),
    SEARCH: ("Search for further tools; those that are found can be called from then on.", {"query": _STRING}),
}
"""Tools that the client runs and OpenAI's models know: what they do, and their arguments."""

_UNKEPT = {"type", "name", "strict"}
"""Members of a built-in tool that say nothing."""
_PLACE = {"namespace", "namespace_description", "native", "loaded", "wire"}
"""Members of `Tool.extra` that say where the definition stood: in which namespace, as which built-in tool, or in an
item of the conversation (`loaded`). `wire` is the name where it is not what the canonical name says."""

Names = Mapping[tuple[str, str], str]
"""Canonical names by namespace and name, for tools whose canonical name would be another tool's."""


def wire_name(name: str, tools: dict[str, Tool]) -> Json:
    """The `name` and `namespace` that a call of this tool carries on the wire."""
    tool = tools.get(name)
    if tool is None or tool.protocol != RESPONSES:
        return {"name": name}
    name, namespace = _place_of(tool)
    if not namespace and tool.extra.get("loaded"):
        namespace = name
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


def _place_of(tool: Tool) -> tuple[str, str]:
    """The name in the client's words, and the namespace in which the tool has it."""
    namespace, wire = string_of(tool.extra.get("namespace")), string_of(tool.extra.get("wire"))
    if wire or (namespace and tool.name.startswith(f"{namespace}__")):
        return wire or tool.name.removeprefix(f"{namespace}__"), namespace
    return tool.name, ""


def native_type(tool: Tool | None) -> str:
    """The key in `NATIVE` of a tool that the client declared as such."""
    return string_of(tool.extra.get("native")) if tool is not None and tool.protocol == RESPONSES else ""


def by_name(request: ChatRequest) -> dict[str, Tool]:
    """The tools of a request by their canonical names."""
    return {tool.name: tool for tool in request.tools}


def declared_tools(body: Json) -> tuple[list[Tool], list[HostedTool], Names]:
    """The tools of a request and of the items of its conversation, each once and none by the name of another's."""
    declared, hosted = decode_tools(body)
    own = len(declared)
    for at, item in enumerate(array_of(body.get("input"))):
        kind = object_of(item).get("type")
        if kind in ("additional_tools", f"{SEARCH}_output"):
            declared += decode_tools(item, f"input[{at}]", loaded=kind != "additional_tools")[0]
    tools: list[Tool] = []
    places: dict[str, tuple[str, str]] = {}
    known_places: set[tuple[str, str]] = set()
    names: dict[tuple[str, str], str] = {}
    for at, tool in enumerate(declared):
        place = _place_of(tool)
        known = place in known_places
        if known and (at >= own or tool in tools):
            continue
        if not known and tool.name in places:
            wire, _ = place
            names[place[::-1]] = other = next(name for n in count(2) if (name := f"{tool.name}_{n}") not in places)
            tool = msgspec.structs.replace(tool, name=other, extra={**tool.extra, "wire": wire})
        places.setdefault(tool.name, place)
        known_places.add(place)
        tools.append(tool)
    return tools, hosted, names


def decode_tools(owner: Json, path: str = "", *, loaded: bool = False) -> tuple[list[Tool], list[HostedTool]]:
    """Read the `tools` of a request or an item; functions of a namespace become functions of their own."""
    functions: list[Tool] = []
    hosted: list[HostedTool] = []
    noted: Json = {"loaded": True} if loaded else {}
    for tool, at in elements(owner, "tools", path):
        match tool:
            case {"type": "function" | "custom"}:
                functions.append(_decode_tool(tool, at, noted))
            case {"type": "namespace", "name": str(space)}:
                place = {"namespace": space, "namespace_description": string(tool, "description", at), **noted}
                functions += [_decode_tool(inner, where, place) for inner, where in elements(tool, "tools", at)]
            case {"type": "apply_patch" | "local_shell" as native}:
                functions.append(_decode_native(native, tool, at))
            case {"type": "shell"} if object_of(tool.get("environment")).get("type", "local") == "local":
                functions.append(_decode_native("shell", tool, at))
            case {"type": "tool_search", "execution": "client"}:
                functions.append(_decode_native(SEARCH, tool, at))
            case {"type": str(kind)}:
                # Searches come in versions: `web_search_preview`, `web_search_2025_08_26`.
                known = "web_search" if kind.startswith("web_search") else kind
                hosted.append(HostedTool("code_execution" if kind == "code_interpreter" else known, RESPONSES, tool))
            case _:
                raise refuse(at, "expected a tool with a type")
    return functions, hosted


def _decode_tool(tool: Json, path: str, place: Json) -> Tool:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        raise refuse(path, "expected a function or custom tool")
    return decode_tool(tool, path, kind, RESPONSES, **place)


def _decode_native(native: str, tool: Json, path: str) -> Tool:
    """A tool that the client runs and declares by its type. Any model can call it as a function."""
    description, properties = NATIVE[native]
    schema = {
        "type": "object",
        "properties": properties,
        "required": [next(iter(properties))],
        "additionalProperties": False,
    }
    kept = {field: value for field, value in tool.items() if field not in _UNKEPT and value is not None}
    return Tool(
        native,
        string(tool, "description", path) or description,
        mapping(tool, "parameters", path) or schema,
        protocol=RESPONSES,
        extra={**kept, "native": native},
    )


def encode_tools(request: ChatRequest, losses: list[Loss]) -> list[Json]:
    """Write definitions; those of one namespace are grouped again at the position of the first."""
    wire: list[Json] = []
    spaces: dict[str, Json] = {}
    for i, tool in enumerate(request.tools):
        place = f"tools[{i}]"
        own = tool.protocol == RESPONSES
        if own and tool.extra.get("loaded"):
            continue
        name, space = _place_of(tool) if own else (tool.name, "")
        encoded = _encode_tool(tool, name, place, request, losses)
        if not space:
            wire.append(encoded)
        elif space in spaces:
            spaces[space]["tools"].append(encoded)
        else:
            described = tool.extra.get("namespace_description")
            spaces[space] = {"type": "namespace", "name": space, "description": described, "tools": [encoded]}
            wire.append(spaces[space])
    for hosted in request.hosted_tools:
        wire += _encode_hosted(hosted, losses)
    return wire


def _encode_tool(tool: Tool, name: str, place: str, request: ChatRequest, losses: list[Loss]) -> Json:
    extra = own_members(tool, RESPONSES, place, losses)
    if not extra.keys().isdisjoint(_PLACE):
        extra = {field: value for field, value in extra.items() if field not in _PLACE}
    if native := native_type(tool):
        return {"type": native, **extra}
    if tool.kind == "custom":
        return {"type": "custom", **described_custom(tool, name, RESPONSES), **extra}
    # Unsaid, OpenAI rewrites the schema to its strict subset, which a schema written for another vendor may not stand.
    unsaid = None if request.protocol == RESPONSES else False
    function = described_function(tool, name, place, losses, keep_schema=tool.protocol == RESPONSES)
    return {"type": "function", "strict": unsaid, **function, **extra}


def _encode_hosted(hosted: HostedTool, losses: list[Loss]) -> list[Json]:
    if hosted.protocol == RESPONSES:
        return [hosted.raw]
    match hosted.kind:
        case "web_search":
            known = ("allowed_domains", "user_location", "search_context_size")
            wire = {"type": "web_search", **search_options(hosted, known, losses)}
            if "allowed_domains" in wire:
                wire["filters"] = {"allowed_domains": wire.pop("allowed_domains")}
            return [wire]
        case "code_execution":
            return [{"type": "code_interpreter", "container": {"type": "auto"}}]
        case kind:
            losses.append(Loss(f"tools ({kind})", "OpenAI has no such tool"))
            return []


def encode_choice(choice: ToolChoice, tools: dict[str, Tool]) -> str | Json:
    """Write the choice. Several names, or names of which none must be called, are OpenAI's allowed tools."""
    if not choice.names:
        return choice.mode
    named = [_named(name, tools) for name in choice.names]
    if choice.mode == "required" and len(named) == 1:
        return named[0]
    return {"type": "allowed_tools", "mode": "required" if choice.mode == "required" else "auto", "tools": named}


def _named(name: str, tools: dict[str, Tool]) -> Json:
    tool = tools.get(name)
    if native := native_type(tool):
        return {"type": native}
    return {"type": tool.kind if tool is not None else "function", **wire_name(name, tools)}
