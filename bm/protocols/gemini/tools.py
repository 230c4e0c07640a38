"""Tool definitions and choices, in both directions."""

from __future__ import annotations

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool, ToolChoice
from bm.protocols import reading
from bm.protocols.json_schema.openapi import from_openapi, openapi_schema
from bm.protocols.json_schema.subsets import gemini_schema
from bm.protocols.tools import as_function, described, own_members, search_options

_DECLARATION = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
_HOSTED_KINDS = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
}


def decode_tools(body: Json) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """The declared functions, and the tools that Google runs."""
    functions: list[Tool] = []
    hosted: list[HostedTool] = []
    alone = isinstance(body.get("tools"), dict)
    for row, at in reading.elements({"tools": [body["tools"]]} if alone else body, "tools"):
        for key, value in row.items():
            name = reading.camel(key)
            if name == "functionDeclarations":
                functions += [_declaration_of(each, place) for each, place in reading.elements(row, key, at)]
            elif value is not None:
                hosted.append(HostedTool(_HOSTED_KINDS.get(name, name), "gemini", {key: value}))
    return tuple(functions), tuple(hosted)


def _declaration_of(declaration: Json, at: str) -> Tool:
    row = reading.in_camel_case(declaration)
    schema = reading.mapping(row, "parametersJsonSchema" if "parametersJsonSchema" in row else "parameters", at)
    extra = {name: value for name, value in row.items() if name not in _DECLARATION}
    return Tool(
        reading.required_string(row, "name", at),
        reading.string_of(row.get("description")),
        from_openapi(schema) if schema is not None else None,
        protocol="gemini" if extra else "",
        extra=extra,
    )


def decode_choice(body: Json, unread: reading.Unread) -> ToolChoice:
    """Read a `toolConfig`. Members that only Gemini has are kept in `unread`."""
    config = reading.in_camel_case(reading.mapping(body, "toolConfig") or {})
    calling = reading.object_of(config.get("functionCallingConfig"))
    unread.rest(config, {"functionCallingConfig"}, "toolConfig")
    names = tuple(
        name for name in reading.array_of(reading.member(calling, "allowedFunctionNames")) if isinstance(name, str)
    )
    mode = calling.get("mode")
    match mode.upper() if isinstance(mode, str) else mode:
        case "ANY" | 2:
            return ToolChoice("required", names)
        case "NONE" | 3:
            return ToolChoice("none")
        case "VALIDATED" | 4:
            unread.add("toolConfig.functionCallingConfig.mode", "VALIDATED")
            return ToolChoice("auto", names)
        case _:
            return ToolChoice("auto")


_HOSTED = {
    **{kind: name for name, kind in reversed(_HOSTED_KINDS.items())},
    "web_search_preview": "googleSearch",
    "code_interpreter": "codeExecution",
    "url_context": "urlContext",
}


def encode_tools(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    """The members `tools` and `toolConfig`, where they are needed.

    Raises:
        RequestError: the model calls no tools.
    """
    hosted: list[Json] = []
    functions = list(request.tools)
    for tool in request.hosted_tools:
        if (encoded := _hosted(tool, losses)) is not None and encoded not in hosted:
            hosted.append(encoded)
    if functions and not capabilities.tools:
        raise reading.refuse("tools", "this model does not call tools")
    if functions and hosted and not capabilities.search_with_tools:
        losses += [
            Loss(f"tools ({name})", "this model does not combine it with functions") for row in hosted for name in row
        ]
        hosted = []
    declared = [_declaration(f, f"tools[{at}]", capabilities, losses) for at, f in enumerate(functions)]
    tools = [{"functionDeclarations": declared}] if functions else []
    config = _calling(request, functions, capabilities)
    if functions and hosted:
        config["includeServerSideToolInvocations"] = True
    if not tools and not hosted:
        return {}
    return {"tools": [*tools, *hosted], **({"toolConfig": config} if config else {})}


def _hosted(tool: HostedTool, losses: list[Loss]) -> Json | None:
    if tool.protocol == "gemini":
        return tool.raw
    name = _HOSTED.get(tool.kind)
    if name is None:
        losses.append(Loss(f"tools ({tool.kind})", "Gemini has no such tool"))
        return None
    search_options(tool, (), losses)
    return {name: {}}


def _declaration(tool: Tool, place: str, capabilities: Capabilities, losses: list[Loss]) -> Json:
    tool = as_function(tool, place, losses)
    schema = schema_member("parameters", tool.schema, capabilities) if tool.schema is not None else {}
    return {**described(tool), **schema, **own_members(tool, "gemini", place, losses)}


def schema_member(field: str, schema: Json, capabilities: Capabilities) -> Json:
    """The schema as `parameters` or `responseSchema`, or as the JSON Schema variant of it where the model has one.

    Empty if the schema has no property: Gemini refuses such objects.
    """
    if capabilities.json_schema:
        cleaned = gemini_schema(schema)
        sister = "responseJsonSchema" if field == "responseSchema" else f"{field}JsonSchema"
        return {} if _says_nothing(cleaned) else {sister: cleaned}
    cleaned = openapi_schema(schema)
    return {field: cleaned} if cleaned.keys() & {"type", "anyOf"} else {}


def _says_nothing(schema: Json) -> bool:
    further = schema.get("additionalProperties", False)
    if schema.get("type", "object") != "object" or further not in (False, {}):
        return False
    return not any(schema.get(key) for key in ("properties", "anyOf", "oneOf", "$ref", "patternProperties", "enum"))


def _calling(request: ChatRequest, functions: list[Tool], capabilities: Capabilities) -> Json:
    """The `toolConfig`. Gemini cannot be held to one call: where the client asked for that, surplus calls are dropped
    from the answer.
    """
    choice = request.tool_choice
    names = [tool.name for tool in functions if tool.name in choice.names]
    config: Json = {}
    match choice.mode:
        case "none":
            config["mode"] = "NONE"
        case "required" if functions:
            config["mode"] = "ANY"
        case "auto" if names or (capabilities.json_schema and any(tool.strict for tool in functions)):
            config["mode"] = "VALIDATED"
        case _:
            return {}
    if names and config["mode"] != "NONE":
        config["allowedFunctionNames"] = names
    return {"functionCallingConfig": config}
