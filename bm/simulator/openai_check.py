"""What OpenAI and compatible services refuse of any model: Chat Completions, Responses, and Groq's own rules.

Sources: developers.openai.com (API reference, structured outputs, function calling), groq 1.7.0 (docstrings), and
recorded answers, read in November 2026.
"""

from __future__ import annotations

import re
from typing import Any

from bm.simulator import signatures
from bm.simulator.faults import bad_request
from bm.simulator.openai_refusals import CHAT, RESPONSES
from bm.simulator.refusals import member, refuse, subschemas, words
from bm.simulator.request import Json, Request
from bm.simulator.wire import dump, items

RESPONSE_ID = "resp_sim"
RESULTS = ("function_call_output", "custom_tool_call_output")
_CALLS = ("function_call", "custom_tool_call")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_MOST_TOOLS = 128
_MOST_EMBEDDED = 2048
_IMAGE = re.compile(r"data:image/(?:png|jpe?g|gif|webp)[;,]")
_GROQ_FIELDS = words(
    "messages model citation_options compound_custom disable_tool_validation documents exclude_domains"
    " frequency_penalty function_call functions include_domains include_reasoning logit_bias logprobs"
    " max_completion_tokens max_tokens metadata n parallel_tool_calls presence_penalty reasoning_effort"
    " reasoning_format response_format search_settings seed service_tier stop store stream stream_options temperature"
    " tool_choice tools top_logprobs top_p user"
)
_GROQ_MESSAGE = {
    "system": words("role content name"),
    "developer": words("role content name"),
    "user": words("role content name"),
    "assistant": words("role content name tool_calls function_call reasoning"),
    "tool": words("role content name tool_call_id"),
    "function": words("role content name"),
}


def check_chat(request: Request) -> None:
    """Refuse what Chat Completions refuses; Groq also refuses what it does not know.

    Raises:
        Refused: with the service's error.
    """
    body = request.body
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise bad_request("you must provide a model parameter")
    if request.operation == "embed":
        _check_embedded(body.get("input"))
        return
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise _missing("messages")
    if not messages:
        raise bad_request(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in _GROQ_MESSAGE:
            raise bad_request(f"Invalid value for 'messages[{place}].role'.", param=f"messages[{place}].role")
    _check_pairs(messages)
    if request.flavour == "openai":
        _check_tools([tool.get("function") or {} for tool in items(body.get("tools"))], "].function")
        _check_format(body.get("response_format"), member(body, "response_format", "json_schema"), messages)
        _check_images(messages)
    if request.flavour == "groq":
        _check_groq(body)
    refuse(CHAT, request, body)


def check_responses(request: Request) -> None:
    """Refuse what Responses refuses. An earlier response may be referenced; its content is not remembered.

    Raises:
        Refused: with the service's error.
    """
    body = request.body
    if not request.model and not body.get("prompt"):
        raise _missing("model")
    earlier = body.get("previous_response_id")
    if earlier and not str(earlier).startswith(RESPONSE_ID):
        raise bad_request(
            f"Previous response with id '{earlier}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if not isinstance(body.get("input"), str | list) and not body.get("prompt"):
        raise _missing("input")
    given = items(body.get("input"))
    _check_items(given)
    if not earlier:
        _check_outputs(given)
    if request.flavour == "openai":
        _check_tools([tool for tool in items(body.get("tools")) if tool.get("type") == "function"], "]")
        style = member(body, "text", "format")
        _check_format(style, style, [body.get("input"), body.get("instructions")])
    refuse(RESPONSES, request, body)


def _missing(name: str) -> Exception:
    return bad_request(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def _check_embedded(given: Any) -> None:
    if given in (None, "", []):
        raise bad_request("'$.input' is invalid. Please check the API reference.", param="input")
    if isinstance(given, list) and len(given) > _MOST_EMBEDDED:
        raise _too_many("input", _MOST_EMBEDDED, len(given))


def _too_many(name: str, most: int, found: int) -> Exception:
    return bad_request(
        f"Invalid '{name}': array too long. Expected an array with maximum length {most}, but got an array with length"
        f" {found} instead.",
        param=name,
        code="array_above_max_length",
    )


def _check_tools(functions: list[Json], after: str) -> None:
    if len(functions) > _MOST_TOOLS:
        raise _too_many("tools", _MOST_TOOLS, len(functions))
    for place, function in enumerate(functions):
        where, name = f"tools[{place}{after}", str(function.get("name") or "")
        if function and not _TOOL_NAME.fullmatch(name):
            raise bad_request(
                f"Invalid '{where}.name': string does not match pattern. Expected a string that matches the pattern"
                " '^[a-zA-Z0-9_-]+$'.",
                param=f"{where}.name",
                code="invalid_value",
            )
        schema = function.get("parameters")
        if isinstance(schema, dict) and (wrong := _schema_fault(schema, strict=function.get("strict") is True)):
            raise bad_request(
                f"Invalid schema for function '{name}': {wrong}",
                param=f"{where}.parameters",
                code="invalid_function_parameters",
            )


def _schema_fault(schema: Json, *, strict: bool) -> str:
    """What is wrong with the parameters of a function; empty if nothing is."""
    if schema.keys() & {"oneOf", "anyOf", "allOf", "enum", "not"}:
        return "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
    if schema.get("type") == "object" and "properties" not in schema:
        return "In context=(), object schema missing properties."
    for inner in subschemas(schema):
        if inner.get("type") == "array" and not inner.keys() & {"items", "prefixItems"}:
            return "In context=(), array schema missing items."
    return _strict_fault(schema) if strict else ""


def _strict_fault(schema: Json) -> str:
    """What keeps a schema from being strict; empty if nothing does."""
    for inner in subschemas(schema):
        properties = inner.get("properties") or {}
        if inner.get("type") == "object" and inner.get("additionalProperties") is not False:
            return "In context=(), 'additionalProperties' is required to be supplied and to be false."
        if missing := [name for name in properties if name not in (inner.get("required") or ())]:
            return (
                "In context=(), 'required' is required to be supplied and to be an array including every key in"
                f" properties. Missing '{missing[0]}'."
            )
    return ""


def _check_format(style: Any, held: Any, said: list[Any]) -> None:
    kind = member(style, "type")
    if kind == "json_object" and "json" not in dump(said).lower():
        raise bad_request(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    schema = member(held, "schema")
    if kind != "json_schema" or not isinstance(schema, dict):
        return
    wrong = ""
    if schema.get("type") != "object" or "anyOf" in schema:
        wrong = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'."
    elif member(held, "strict") is True:
        wrong = _strict_fault(schema)
    if wrong:
        message = f"Invalid schema for response_format '{member(held, 'name')}': {wrong}"
        raise bad_request(message, param="response_format")


def _check_images(messages: list[Json]) -> None:
    urls = [str(member(part, "image_url", "url")) for one in messages for part in items(one.get("content"))]
    if any(url.startswith("data:") and not _IMAGE.match(url) for url in urls):
        raise bad_request(
            "You uploaded an unsupported image. Please make sure your image has of one the following formats:"
            " ['png', 'jpeg', 'gif', 'webp'].",
            code="invalid_image_format",
        )


def _check_pairs(messages: list[Json]) -> None:
    called: dict[str, None] = {}
    after_calls = False
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if not after_calls:
                raise bad_request(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with"
                    " 'tool_calls'.",
                    param=f"messages.[{place}].role",
                )
            called.pop(str(message.get("tool_call_id")), None)
            continue
        if called:
            raise bad_request(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
                f" 'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(called)}",
                param=f"messages.[{place}].role",
            )
        called = {str(call.get("id")): None for call in items(message.get("tool_calls"))}
        after_calls = bool(called)


def _check_groq(body: Json) -> None:
    for name in body:
        if name not in _GROQ_FIELDS:
            raise bad_request(f"property '{name}' is unsupported")
    if body.get("n") not in (None, 1):
        raise bad_request("'n' : number must be at most 1")
    if len(items(body.get("tools"))) > _MOST_TOOLS:
        raise bad_request(f"'tools' : maximum number of items is {_MOST_TOOLS}")
    if body.get("tools") and member(body, "response_format", "type") in ("json_object", "json_schema"):
        raise bad_request("json mode cannot be combined with tool/function calling")
    for place, message in enumerate(items(body["messages"])):
        role = message["role"]
        refusal = f"'messages.{place}' : for 'role:{role}' the following must be satisfied[('messages.{place}"
        for name, value in message.items():
            if name not in _GROQ_MESSAGE[role]:
                raise bad_request(f"{refusal}' : property '{name}' is unsupported)]")
            if value is None and not (name == "content" and role == "assistant"):
                raise bad_request(f"{refusal}.{name}' : value must not be null)]")
        for position, part in enumerate(items(message.get("content"))):
            if "cache_control" in part:
                raise bad_request(f"{refusal}.content.{position}' : property 'cache_control' is unsupported)]")


def _check_outputs(given: list[Json]) -> None:
    called: dict[str, None] = {}
    for item in given:
        identifier = str(item.get("call_id"))
        if item.get("type") in _CALLS:
            called[identifier] = None
        elif item.get("type") in RESULTS:
            if identifier not in called:
                raise bad_request(
                    f"No tool call found for function call output with call_id {identifier}.", param="input"
                )
            del called[identifier]
    if called:
        raise bad_request(f"No tool output found for function call {next(iter(called))}.", param="input")


def _check_items(given: list[Json]) -> None:
    for place, item in enumerate(given):
        identifier = item.get("id")
        if item.get("type") == "function_call" and identifier and not str(identifier).startswith("fc"):
            message = f"Invalid 'input[{place}].id': '{identifier}'. Expected an ID that begins with 'fc'."
            raise bad_request(message, param=f"input[{place}].id", code="invalid_value")
        if item.get("type") != "reasoning":
            continue
        after = given[place + 1] if place + 1 < len(given) else {}
        said = after.get("role") in ("user", "system", "developer") or after.get("type") in RESULTS
        if identifier and (not after or said):
            message = f"Item '{identifier}' of type 'reasoning' was provided without its required following item."
            raise bad_request(message, param="input")
        shown = "".join(str(part.get("text", "")) for part in items(item.get("summary")))
        if (sealed := item.get("encrypted_content")) and not signatures.known("openai", shown, str(sealed)):
            raise bad_request(
                f"The encrypted content for item {identifier} could not be verified.",
                param=f"input[{place}]",
                code="invalid_encrypted_content",
            )
