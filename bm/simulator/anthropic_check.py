"""What the Messages API refuses of any model, in its own words as far as they are on record.

Sources: platform.claude.com/docs/en/api, anthropic 2.12.0 (types), the claude-api skill of @anthropic-ai/claude-code
2.1.332 (models, model-migration, error-codes, api-version-migration), all read in November 2026, and recorded answers.
"""

from __future__ import annotations

import re
from typing import Any

from bm.simulator import signatures
from bm.simulator.anthropic_refusals import REFUSALS, turns
from bm.simulator.faults import bad_request
from bm.simulator.refusals import member, refuse, subschemas, words
from bm.simulator.request import Json, Request
from bm.simulator.wire import items

FIELDS = words(
    "max_tokens messages model cache_control container diagnostics inference_geo metadata output_config output_format"
    " service_tier speed stop_sequences system thinking tool_choice tools user_profile_id workspace_id stream"
    " temperature top_k top_p"
)
_BETA_FIELDS = words(
    "betas billing_policy compaction context_management fallback_credit_token fallbacks mcp_servers thread"
)
"""Known to the API, but only with an `anthropic-beta` header."""
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_MOST_MARKS = 4
NEW_VERSION = "2026-10-21"
"""From this version on, sampling parameters, documents in assistant messages and citations of users are refused."""


def check(request: Request) -> None:
    """Refuse what the Messages API refuses.

    Raises:
        Refused: with the service's error.
    """
    body = request.body
    version = request.headers.get("anthropic-version", "")
    if not version:
        raise bad_request("anthropic-version: header is required")
    beta = "anthropic-beta" in request.headers
    for name in body:
        if name not in FIELDS and not (beta and name in _BETA_FIELDS):
            raise bad_request(f"{name}: Extra inputs are not permitted")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise bad_request("model: Field required")
    if request.operation == "generate":
        _check_limits(body)
    _check_tools(body)
    _check_messages(body)
    _check_output_schema(body)
    _check_marks(body)
    if version >= NEW_VERSION:
        _check_new_version(body)
    refuse(REFUSALS, request, body)


def _check_limits(body: Json) -> None:
    limit = body.get("max_tokens")
    if limit is None:
        raise bad_request("max_tokens: Field required")
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise bad_request("max_tokens: Input should be a valid integer")
    if limit < 0:
        raise bad_request("max_tokens: must be greater than or equal to 1")
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int):
            raise bad_request("thinking.enabled.budget_tokens: Field required")
        if budget < 1024:
            raise bad_request("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= limit:
            raise bad_request("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if any(isinstance(stop, str) and not stop.strip() for stop in body.get("stop_sequences") or []):
        raise bad_request("stop_sequences: each stop sequence must contain non-whitespace")


def _check_tools(body: Json) -> None:
    names: set[str] = set()
    for place, tool in enumerate(items(body.get("tools"))):
        if tool.get("type", "custom") not in ("custom", None):
            continue
        name = tool.get("name")
        if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
            pattern = "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
            raise bad_request(f"tools.{place}.custom.name: {pattern if name else 'Field required'}")
        if name in names:
            raise bad_request("tools: Tool names must be unique.")
        names.add(name)
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise bad_request(f"tools.{place}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise bad_request(f"tools.{place}.custom.input_schema.type: Field required")
        if schema.keys() & {"oneOf", "allOf", "anyOf"}:
            where = f"tools.{place}.custom.input_schema"
            raise bad_request(f"{where}: input_schema does not support oneOf, allOf, or anyOf at the top level")


_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_UNSUPPORTED = {
    "object": ("minProperties", "maxProperties", "patternProperties", "propertyNames"),
    "array": ("maxItems", "uniqueItems", "contains"),
    "string": ("minLength", "maxLength"),
    "integer": _NUMBERS,
    "number": _NUMBERS,
}
"""Keywords of structured output that are refused, by type; platform.claude.com: structured outputs."""


def _check_output_schema(body: Json) -> None:
    schema = member(body, "output_config", "format", "schema") or member(body, "output_format", "schema")
    for inner in subschemas(schema):
        kind = inner.get("type")
        wrong = sorted(name for name in _UNSUPPORTED.get(kind, ()) if name in inner) if isinstance(kind, str) else []
        if wrong:
            said = f"For '{kind}' type, properties {', '.join(wrong)} are not supported"
            raise bad_request(f"output_config.format.schema: {said}")
        if kind == "object" and inner.get("additionalProperties") is not False:
            said = "For 'object' type, 'additionalProperties' must be explicitly set to false"
            raise bad_request(f"output_config.format.schema: {said}")


def _check_messages(body: Json) -> None:
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise bad_request("messages: Field required" if messages is None else "messages: Input should be a valid list")
    if not messages:
        raise bad_request("messages: at least one message is required")
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
            role = message.get("role") if isinstance(message, dict) else message
            raise bad_request(f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant".')
        final = place == len(messages) - 1 and message["role"] == "assistant"
        # Claude Code 2.1.330 changes the effort of later turns by a system turn without content.
        adjusts = message["role"] == "system" and "output_config" in message
        if not message.get("content") and not final and not adjusts:
            raise bad_request(
                f"messages.{place}: all messages must have non-empty content except for the optional final"
                " assistant message"
            )
        for position, block in enumerate(items(message.get("content"))):
            _check_block(block, f"messages.{place}.content.{position}")
    _check_pairs(messages)


def _check_new_version(body: Json) -> None:
    for name in ("temperature", "top_p", "top_k"):
        if name in body:
            raise bad_request(f"{name}: Extra inputs are not permitted")
    for place, message in enumerate(body["messages"]):
        for position, block in enumerate(items(message.get("content"))):
            where = f"messages.{place}.content.{position}"
            if message["role"] == "assistant" and block.get("type") == "document":
                raise bad_request(f"{where}: `document` blocks are not permitted in assistant messages")
            if message["role"] == "user" and block.get("type") == "text" and block.get("citations"):
                raise bad_request(f"{where}.text.citations: Extra inputs are not permitted")


def _check_block(block: Json, where: str) -> None:
    kind = block.get("type")
    if not isinstance(kind, str):
        raise bad_request(f"{where}.type: Field required")
    if kind == "text" and not block.get("text"):
        raise bad_request("messages: text content blocks must be non-empty")
    if kind == "tool_use" and not _TOOL_ID.fullmatch(str(block.get("id"))):
        raise bad_request(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if kind in ("thinking", "redacted_thinking") and "cache_control" in block:
        raise bad_request(f"{where}.{kind}.cache_control: Extra inputs are not permitted")
    if kind == "thinking":
        signature = block.get("signature")
        if not isinstance(signature, str):
            raise bad_request(f"{where}.thinking.signature: Field required")
        if not signatures.known("claude", str(block.get("thinking") or ""), signature):
            raise bad_request(f"{where}: Invalid `signature` in `thinking` block")
    if kind == "redacted_thinking" and not (signatures.decoded(str(block.get("data"))) or b"").startswith(
        b"sim:claude:"
    ):
        raise bad_request(f"{where}: Invalid `data` in `redacted_thinking` block")


def _ids(found: list[Json], kind: str, field: str) -> list[str]:
    return [str(block.get(field)) for block in found if block.get("type") == kind]


def _check_pairs(messages: list[Json]) -> None:
    called: list[str] = []
    for place, role, found in turns(messages):
        if role == "assistant":
            called = _ids(found, "tool_use", "id")
            continue
        answered = _ids(found, "tool_result", "tool_use_id")
        if missing := [name for name in called if name not in answered]:
            raise bad_request(
                f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after:"
                f" {', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the"
                " next message."
            )
        if stray := [name for name in answered if name not in called]:
            raise bad_request(
                f"messages.{place}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {stray[0]}."
                " Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        called = []


def _marks(content: Any) -> int:
    """Blocks with `cache_control`, also inside tool results; never keys of that name in arguments or schemas."""
    return sum(bool(block.get("cache_control")) + _marks(block.get("content")) for block in items(content))


def _check_marks(body: Json) -> None:
    found = bool(body.get("cache_control")) + _marks(body.get("tools")) + _marks(body.get("system"))
    found += sum(_marks(message.get("content")) for message in items(body.get("messages")))
    if found > _MOST_MARKS:
        raise bad_request(f"A maximum of {_MOST_MARKS} blocks with cache_control may be provided. Found {found}.")
