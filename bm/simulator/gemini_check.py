"""What the Gemini API refuses of any model, in its own words as far as they are on record.

Sources: ai.google.dev/gemini-api/docs (function-calling, thought-signatures, thinking), the REST reference, and
recorded answers.
"""

from __future__ import annotations

import re
from typing import Any

from bm.simulator import signatures
from bm.simulator.faults import Refused, bad_request
from bm.simulator.gemini_fields import camel_keys, unknown
from bm.simulator.gemini_refusals import REFUSALS, signs_calls, turns
from bm.simulator.refusals import refuse
from bm.simulator.request import Json, Request
from bm.simulator.wire import items

_FUNCTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_MOST_EMBEDDED = 100
_MESSAGES = {
    "generateContent": "GenerateContentRequest",
    "streamGenerateContent": "GenerateContentRequest",
    "countTokens": "CountTokensRequest",
    "embedContent": "EmbedContentRequest",
    "batchEmbedContents": "BatchEmbedContentsRequest",
}


def normal(request: Request) -> Json:
    """The body with its fields in camelCase."""
    body: Json = camel_keys(request.body, _MESSAGES[request.verb])
    return body


def check(request: Request) -> None:
    """Refuse what the Gemini API refuses.

    Raises:
        Refused: with the service's error.
    """
    if faults := unknown(request.body, _MESSAGES[request.verb]):
        raise bad_request("\n".join(_unknown(where, name) for where, name in faults))
    if request.vertex and "generateContentRequest" in request.body:
        raise bad_request(_unknown("", "generateContentRequest"))
    body = normal(request)
    if len(items(body.get("requests"))) > _MOST_EMBEDDED:
        raise bad_request("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n")
    if request.operation != "generate":
        return
    contents = _contents(body)
    _check_config(body.get("generationConfig") or {})
    _check_tools(body)
    _check_answers(contents)
    if signs_calls(request.model):
        _check_signatures(contents)
    refuse(REFUSALS, request, body)


def _unknown(where: str, name: str) -> str:
    place = f" at '{where}'" if where else ""
    return f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'


def _contents(body: Json) -> list[Json]:
    contents = body.get("contents")
    if isinstance(contents, dict):
        contents = [contents]
    if not contents:
        raise bad_request("* GenerateContentRequest.contents: contents is not specified\n")
    if not isinstance(contents, list) or not all(isinstance(content, dict) for content in contents):
        raise bad_request(
            "Invalid value at 'contents' (type.googleapis.com/google.ai.generativelanguage.v1beta.Content)"
        )
    for place, content in enumerate(contents):
        if content.get("role") not in (None, "", "user", "model", "function"):
            raise bad_request("Please use a valid role: user, model.")
        if not content.get("parts"):
            field = f"GenerateContentRequest.contents[{place}].parts"
            raise bad_request(f"* {field}: contents.parts must not be empty.\n")
        for position, part in enumerate(items(content["parts"])):
            _check_part(part, f"contents[{place}].parts[{position}]")
    return contents


def _check_part(part: Json, where: str) -> None:
    data = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode")
    if len([name for name in data if name in part]) > 1:
        raise bad_request(f"Invalid value at '{where}' (oneof), oneof field 'data' is already set.")
    if not any(name not in ("thought", "partMetadata", "videoMetadata", "mediaResolution") for name in part):
        raise bad_request(
            f"* GenerateContentRequest.{where}.data: required oneof field 'data' must have one initialized field\n"
        )
    signature = part.get("thoughtSignature")
    if signature is not None and signatures.decoded(str(signature)) is None:
        place = f"{where}.thought_signature"
        raise bad_request(f"Invalid value at '{place}' (TYPE_BYTES), Base64 decoding failed for \"{signature}\"")
    answer = part.get("functionResponse")
    if isinstance(answer, dict) and not isinstance(answer.get("response", {}), dict):
        place = f"{where}.function_response.response"
        raise bad_request(f"Invalid value at '{place}' (type.googleapis.com/google.protobuf.Struct)")


def _check_config(config: Json) -> None:
    thinking = config.get("thinkingConfig") or {}
    if thinking.get("thinkingLevel") and thinking.get("thinkingBudget") is not None:
        raise bad_request("You can only set only one of thinking budget and thinking level.")
    _check_schema(config.get("responseSchema"), "generation_config.response_schema")


def _check_tools(body: Json) -> None:
    tools = items(body.get("tools")) or items([body.get("tools")])
    names: set[str] = set()
    for place, tool in enumerate(tools):
        for position, function in enumerate(items(tool.get("functionDeclarations"))):
            where = f"tools[{place}].function_declarations[{position}]"
            name = str(function.get("name") or "")
            if not _FUNCTION_NAME.fullmatch(name):
                raise bad_request(
                    f"* GenerateContentRequest.{where}.name: Invalid function name. Must start with a letter or an"
                    " underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes"
                    " (-), with a maximum length of 128.\n"
                )
            if name in names:
                raise bad_request(f"Duplicate function declaration found: {name}")
            names.add(name)
            if function.get("parameters") and function.get("parametersJsonSchema"):
                raise bad_request(f"{where}: only one of parameters and parameters_json_schema may be set.")
            _check_schema(function.get("parameters"), f"{where}.parameters")


def _check_schema(schema: Any, where: str) -> None:
    """Check the types of an OpenAPI-style schema, whose fields are known."""
    if isinstance(schema, bool):
        raise bad_request(
            f"Invalid value at '{where}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)"
        )
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("type"), list):
        raise bad_request(f"Proto field is not repeating, cannot start list. ({where}.type)")
    for place, value in enumerate(schema.get("enum") or []):
        if not isinstance(value, str):
            raise bad_request(f"Invalid value at '{where}.enum[{place}]' (TYPE_STRING), {value}")
        if not value:
            raise bad_request(f"* GenerateContentRequest.{where}.enum[{place}]: cannot be empty\n")
    if str(schema.get("type", "")).upper() == "ARRAY" and "items" not in schema:
        raise bad_request(f"* GenerateContentRequest.{where}.items: missing field.\n")
    properties = schema.get("properties") if isinstance(schema.get("properties"), dict) else {}
    for name in schema.get("required") or []:
        if name not in (properties or {}):
            raise bad_request(f"* GenerateContentRequest.{where}.required: property is not defined: {name}\n")
    for name, inner in (properties or {}).items():
        _check_schema(inner, f"{where}.properties[{name}]")
    _check_schema(schema.get("items"), f"{where}.items")
    for place, inner in enumerate(schema.get("anyOf") or []):
        _check_schema(inner, f"{where}.any_of[{place}]")


def _check_answers(contents: list[Json]) -> None:
    called = 0
    for place, (_, role, parts) in enumerate(turns(contents)):
        if role == "model":
            called = sum("functionCall" in part for part in parts)
            if called and not place:
                raise bad_request(
                    "Please ensure that function call turn comes immediately after a user turn or after a function"
                    " response turn."
                )
            continue
        answered = sum("functionResponse" in part for part in parts)
        if answered and not called:
            raise bad_request("Please ensure that function response turn comes immediately after a function call turn.")
        if answered != called:
            raise bad_request(
                "Please ensure that the number of function response parts is equal to the number of function call"
                " parts of the function call turn."
            )
        called = 0


def current_turn(contents: list[Json]) -> list[tuple[int, str, list[Json]]]:
    """The turns since the last user turn that is not made of function responses."""
    steps: list[tuple[int, str, list[Json]]] = []
    for turn in turns(contents):
        asks = turn[1] == "user" and not any("functionResponse" in part for part in turn[2])
        steps = [] if asks else [*steps, turn]
    return steps


def _check_signatures(contents: list[Json]) -> None:
    for start, role, parts in current_turn(contents):
        calls = [part for part in parts if "functionCall" in part]
        if role != "model" or not calls:
            continue
        if not calls[0].get("thoughtSignature"):
            raise _missing(str(calls[0]["functionCall"].get("name")), start + 1)
        for part in calls:
            signature = part.get("thoughtSignature")
            name = str(part["functionCall"].get("name"))
            if signature and not (signatures.known("gemini", name, signature) or signatures.dummy(signature)):
                raise bad_request("Corrupted thought signature.")


def _missing(name: str, position: int) -> Refused:
    return bad_request(
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work"
        " correctly, and missing thought_signature may lead to degraded model performance. Additional data, function"
        f" call `default_api:{name}` , position {position}. Please refer to"
        " https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )
