"""What a Messages client says, in canonical form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.parts import CacheMark, Text
from bm.chat.request import (
    OutputFormat,
    Turn,
)
from bm.errors import RequestError
from bm.protocols.anthropic.decode import decode_request
from tests.protocols.anthropic.examples import (
    body,
    decoded,
    user,
)

SESSION = "3f6b2a10-1111-4222-8333-444455556666"


def test_the_attribution_block_is_for_anthropic_alone() -> None:
    blocks = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330;"},
        {"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral"}},
    ]
    assert decoded(system=blocks).system == (Text("You are.", cache=CacheMark()),)


@pytest.mark.parametrize("in_blocks", [False, True])
def test_the_attribution_may_be_the_first_line_of_a_text(in_blocks: bool) -> None:
    text = "x-anthropic-billing-header: cc_version=2.1.330;\nYou are."
    request = decoded(system=[{"type": "text", "text": text}] if in_blocks else text)
    assert request.system == (Text("You are."),)
    assert [(extra.field, extra.value) for extra in request.extras] == [
        ("x-anthropic-billing-header", "x-anthropic-billing-header: cc_version=2.1.330;")
    ]


@pytest.mark.parametrize(("system", "texts"), [("Be kind.", (Text("Be kind."),)), ("", ()), ([], ())])
def test_the_system_prompt_may_be_a_string(system: object, texts: tuple[Text, ...]) -> None:
    assert decoded(system=system).system == texts


@pytest.mark.parametrize(
    "user_id",
    [
        json.dumps({"device_id": "d", "account_uuid": "", "session_id": SESSION}),
        f"user_abc_account__session_{SESSION}",
    ],
)
def test_claude_codes_user_names_the_session(user_id: str) -> None:
    request = decoded(metadata={"user_id": user_id})
    assert (request.user, request.cache_key) == (user_id, SESSION)


def test_what_has_no_place_is_kept() -> None:
    request = decoded(
        context_management={"edits": []},
        mcp_servers=[{"type": "url"}],
        output_config={"effort": "low", "task_budget": {"total": 1}},
        metadata={"user_id": "u", "team": "t"},
        service_tier="auto",
        container=None,
    )
    assert {(extra.protocol, extra.field) for extra in request.extras} == {
        ("anthropic", name)
        for name in ("context_management", "mcp_servers", "output_config", "metadata", "service_tier")
    }


def test_a_role_system_message_is_an_instruction_in_mid_conversation() -> None:
    request = decoded({"role": "user", "content": "a"}, {"role": "system", "content": "s"})
    assert request.turns == (user("a"), Turn("system", (Text("s"),)))


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(RequestError, match=r"messages\[0\]\.role: expected user, assistant or system"):
        decoded({"role": "tool", "content": "a"})


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_schema_for_the_answer_in_its_new_and_its_older_place(place: str) -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    request = decoded(**{place: {"format": form} if place == "output_config" else form})
    assert request.output == OutputFormat("schema", schema={"type": "object"})


def test_the_path_may_name_the_model_and_the_stream() -> None:
    request = decode_request(body(), model="other", stream=True)
    assert (request.model, request.stream) == ("other", True)


def test_counting_needs_no_max_tokens() -> None:
    assert decode_request({"model": "m", "messages": [{"role": "user", "content": "foo"}]}).max_tokens is None


@pytest.mark.parametrize(
    ("member", "place", "expected"),
    [
        ({"max_tokens": "100"}, "max_tokens", "max_tokens: expected an integer, got a string"),
        ({"max_tokens": 1.5}, "max_tokens", "max_tokens: expected an integer, got a number"),
        ({"max_tokens": -1}, "max_tokens", "max_tokens: expected at least 0, got -1"),
        ({"temperature": True}, "temperature", "temperature: expected a number, got a boolean"),
        ({"stream": "yes"}, "stream", "stream: expected a boolean, got a string"),
        ({"system": {"text": "x"}}, "system", "system: expected an array, got an object"),
        ({"system": [{"type": "text"}]}, "system[0].text", "system[0].text: expected a string, got null"),
        ({"tools": [{"type": "custom"}]}, "tools[0].name", "tools[0].name: expected a string, got null"),
        ({"model": None}, "model", "model: expected a string, got null"),
        ({"messages": None}, "messages", "messages: expected an array, got null"),
        ({"messages": []}, "messages", "messages: expected at least one element, got an empty array"),
        ({"messages": ["Hi"]}, "messages[0]", "messages[0]: expected an object, got a string"),
    ],
)
def test_a_wrong_type_is_reported_with_its_place(member: dict[str, Any], place: str, expected: str) -> None:
    with pytest.raises(RequestError) as caught:
        decoded(**member)
    assert (caught.value.failure.param, caught.value.failure.message) == (place, expected)
    assert caught.value.failure.http_status == 400


@pytest.mark.parametrize("name", ["system", "tools", "tool_choice", "thinking", "metadata", "stop_sequences", "stream"])
def test_null_is_the_same_as_absent(name: str) -> None:
    assert decoded(**{name: None}) == decoded()
