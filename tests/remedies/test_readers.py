from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.protocols.errors import decode_error
from bm.remedies.find import remedies_for
from bm.remedies.readers import Refusal
from tests.remedies.heal import CHAT, CLAUDE, healed, refused, remedies

BODY = {
    "temperature": 3,
    "top_k": 99,
    "max_tokens": 9000,
    "user": "x" * 80,
    "tools": [{"name": "f", "input_schema": {}}],
}


def test_members_are_named_in_the_order_of_the_refusal() -> None:
    found = Refusal(refused("temperature: not `top_k` and max_tokens", "user"), BODY, CHAT)
    assert found.named == ("user", "temperature", "top_k", "max_tokens")


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("temperature must be between 0 and 2", "clamp temperature (0, 2)"),
        ("'temperature' must be in the range [0.0, 2.0]", "clamp temperature (0.0, 2.0)"),
        ("3 is greater than the maximum of 2 - 'temperature'", "clamp temperature (2)"),
        (
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3",
            "clamp temperature (2)",
        ),
        ("`top_k` must be less than or equal to `40`", "clamp top_k (40)"),
        ("max_tokens must be at most 8192", "clamp max_tokens (8192)"),
        (
            "max_tokens is too large: 9000. This model supports at most 4096 completion tokens",
            "clamp max_tokens (4096)",
        ),
        ("max_new_tokens is limited to 2048", "clamp max_tokens (2048)"),
        ("The max tokens 9000 are invalid. Choose a value between 1 and 512.", "clamp max_tokens (512)"),
        ("`top_k` must be 1", "drop top_k"),
        ("Range of max_tokens should be [1, 8192]", "clamp max_tokens (8192)"),
        ("Invalid 'user': string too long. Expected a string with maximum length 64", "shorten user (64)"),
    ],
)
def test_limits_in_the_words_of_several_vendors(message: str, remedy: str) -> None:
    assert remedies(CHAT, message, BODY)[0] == remedy


def test_the_schema_of_the_tool_that_is_named_comes_first() -> None:
    body = {"tools": [{"name": "f", "input_schema": {}}, {"name": "g", "input_schema": {"type": "object"}}]}
    named = remedies(CLAUDE, "tools.1.custom.input_schema: JSON schema is invalid", body)
    assert named.count("simplify schemas") == 2


def test_what_holds_under_a_condition_is_not_learnt() -> None:
    message = "`temperature` may only be set to 1 when thinking is enabled."
    ((found,),) = list(remedies_for(refused(message), b'{"temperature": 0.5}', CLAUDE))[:1]
    assert (found.operation, found.passing, found.reason) == ("drop", True, message)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("'reasoning_effort' must be 'low' or 'high'", "level reasoning_effort (low, high)"),
        ("body -> reasoning_effort: unexpected value; permitted: 'low', 'high'", "level reasoning_effort (low, high)"),
        ("This model does not support effort level 'max'. Supported levels: low.", "level reasoning_effort (low)"),
        ("reasoning_effort xhigh not supported", "avoid reasoning_effort (xhigh)"),
        ("This model does not support `reasoning_effort` value `xhigh`.", "avoid reasoning_effort (xhigh)"),
    ],
)
def test_levels_in_the_words_of_several_vendors(message: str, remedy: str) -> None:
    assert remedies(CHAT, message, {"reasoning_effort": "xhigh"})[0] == remedy


def test_a_form_of_the_answer_is_not_dropped_but_asked_for_in_words() -> None:
    body = {"output_config": {"format": {"type": "json_schema", "schema": {}}}}
    assert remedies(CLAUDE, "output_config.format: Extra inputs are not permitted", body) == ["weaken (schema, json)"]


@pytest.mark.parametrize(
    ("message", "body", "expected"),
    [
        (
            'litellm.BadRequestError: VertexAIException - {"error": {"message": "Unknown name \\"store\\": Cannot find '
            'field."}}. Received Model Group=m',
            {"store": True},
            {},
        ),
        (
            "litellm.UnsupportedParamsError: openai does not support parameters: ['seed', 'store'], for model=m. To "
            "drop these, set `litellm.drop_params=True`",
            {"seed": 1, "store": True},
            {},
        ),
        (
            "Reasoning is mandatory for this endpoint and cannot be disabled.. Received Model Group=m Fallbacks=None",
            {"reasoning": {"enabled": False}},
            {"reasoning": {"effort": "minimal"}},
        ),
        (
            "Invalid value: 'priority'. Supported values are: 'auto' and 'flex'. (request id: 1)",
            {"service_tier": "priority"},
            {},
        ),
        (
            "Invalid value: 'tool_search'. Supported values are: 'function', and 'mcp'. (request id: 1)",
            {"tools": [{"type": "function"}, {"type": "tool_search"}]},
            {"tools": [{"type": "function"}]},
        ),
    ],
)
def test_what_a_gateway_leaves_of_a_refusal(message: str, body: Any, expected: Any) -> None:
    assert healed(CHAT, message, body) == expected


def test_a_refusal_under_500_is_one_where_the_error_is_called_so() -> None:
    document = {"type": "error", "error": {"type": "invalid_request_error", "message": "`top_k` is deprecated"}}
    failure = decode_error(500, {}, msgspec.json.encode(document))
    assert list(remedies_for(failure, b'{"top_k": 1}', CLAUDE))
