"""Tools and the choice among them, as Gemini takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, HostedTool, Loss, Tool
from bm.protocols.gemini.client_tools import typed_name, with_schema
from bm.protocols.gemini.refusing import refused
from bm.protocols.tool_schema import light, simplified

_HOSTED = {
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "code_execution": "codeExecution",
    "code_interpreter": "codeExecution",
    "web_fetch": "urlContext",
    "url_context": "urlContext",
}
_DOMAINS = ("allowed_domains", "blocked_domains")
_CUSTOM_SCHEMA: Json = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


def encode_tools(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    """The members `tools` and `toolConfig`, as far as there is anything to say.

    Raises:
        RequestError: the model calls no tools, or a tool has no schema that anyone could know.
    """
    hosted: list[Json] = []
    functions = [_with_known_schema(tool) for tool in request.tools]
    for tool in request.hosted_tools:
        if typed_name(tool):
            functions.append(_with_known_schema(tool))
        elif (encoded := _hosted(tool, losses)) is not None and encoded not in hosted:
            hosted.append(encoded)
    if functions and not capabilities.tools:
        raise refused("tools", "this model does not call tools")
    if functions and hosted and not capabilities.search_with_tools:
        losses += [
            Loss(f"tools ({name})", "this model does not combine it with functions") for row in hosted for name in row
        ]
        hosted = []
    tools = [{"functionDeclarations": [_declaration(f, capabilities) for f in functions]}] if functions else []
    config = _calling(request, functions, capabilities)
    if functions and hosted:
        config["includeServerSideToolInvocations"] = True
    members: Json = {}
    if tools or hosted:
        members["tools"] = [*tools, *hosted]
    if config and members:
        members["toolConfig"] = config
    return members


def _with_known_schema(tool: Tool | HostedTool) -> Tool:
    kind = typed_name(tool)
    if not kind and isinstance(tool, Tool):
        return tool
    known = with_schema(tool)
    if known is None:
        raise refused("tools", f"the tool {kind!r} has no schema that another vendor's model could be given")
    return known


def _hosted(tool: HostedTool, losses: list[Loss]) -> Json | None:
    if tool.protocol == "gemini":
        return tool.raw
    name = _HOSTED.get(tool.kind)
    if name is None:
        losses.append(Loss(f"tools ({tool.kind})", "Gemini has no such tool"))
        return None
    losses += [
        Loss(f"tools ({tool.kind}).{key}", "Gemini's search has no filter") for key in _DOMAINS if tool.raw.get(key)
    ]
    return {name: {}}


def _declaration(tool: Tool, capabilities: Capabilities) -> Json:
    declaration: Json = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    schema = _CUSTOM_SCHEMA if tool.kind == "custom" else tool.schema
    if schema is not None:
        declaration |= schema_member("parameters", schema, capabilities)
    if tool.protocol == "gemini":
        declaration |= tool.extra
    return declaration


def schema_member(field: str, schema: Json, capabilities: Capabilities) -> Json:
    """The schema under `parameters` or `responseSchema`, or under its JSON-Schema sister where the model has that.

    Empty where the schema names no property: Gemini refuses an object without any.
    """
    if capabilities.json_schema:
        cleaned = light(schema)
        sister = "responseJsonSchema" if field == "responseSchema" else f"{field}JsonSchema"
        return {} if _says_nothing(cleaned) else {sister: cleaned}
    cleaned = simplified(schema)
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
    names = _declared(choice.names, functions)
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


def _declared(names: Iterable[str], functions: list[Tool]) -> list[Any]:
    known = {tool.name for tool in functions}
    return [name for name in names if name in known]
