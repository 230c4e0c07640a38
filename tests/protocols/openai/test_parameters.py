"""Parameters that OpenAI's two APIs have in common."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, Loss, OutputFormat, Turn
from bm.errors import RequestError
from bm.protocols.openai.parameters import EFFORTS, LEVELS, decode_format, encode_schema, identity, openai_format


def test_every_effort_is_a_level_and_back() -> None:
    assert LEVELS["none"] == "off" and LEVELS["max"] == "max"
    assert {EFFORTS[level] for level in LEVELS.values()} == set(LEVELS)


@pytest.mark.parametrize(
    ("form", "output"),
    [
        (None, OutputFormat()),
        ({"type": "text"}, OutputFormat()),
        ({"type": "json_object"}, OutputFormat("json")),
        ({"type": "json_object", "schema": {"a": 1}}, OutputFormat("schema", {"a": 1})),
        ({"type": "json_schema", "schema": {"a": 1}, "name": "n"}, OutputFormat("schema", {"a": 1}, "n")),
        ({"type": "json_schema", "json_schema": {"strict": True}}, OutputFormat("schema", {}, strict=True)),
        ({"type": "novelty"}, None),
    ],
)
def test_a_format_is_read_in_either_spelling(form: Any, output: OutputFormat | None) -> None:
    assert decode_format({"format": form}, "format", "text") == output


@pytest.mark.parametrize(
    ("form", "place"),
    [({"type": 5}, "text.format.type"), ({"type": "json_schema"}, "text.format.json_schema"), (5, "text.format")],
)
def test_a_faulty_format_is_refused_by_its_place(form: Any, place: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_format({"format": form}, "format", "text")
    assert caught.value.failure.param == place


def test_a_schema_has_a_name_that_openai_takes() -> None:
    output = OutputFormat("schema", {"a": 1}, "my answer!", "d", strict=False)
    assert encode_schema(output) == {"name": "my_answer_", "schema": {"a": 1}, "description": "d", "strict": False}
    assert encode_schema(OutputFormat("schema")) == {"name": "answer", "schema": {}}


@pytest.mark.parametrize(
    ("openai", "members"), [(True, {"safety_identifier": "u", "prompt_cache_key": "k"}), (False, {"user": "u"})]
)
def test_the_user_and_the_conversation_are_named(openai: bool, members: Json) -> None:
    request = ChatRequest(protocol="anthropic", model="m", turns=(), user="u", cache_key="k")
    assert identity(request, openai=openai) == members


def asked(output: OutputFormat, text: str = "Hi") -> ChatRequest:
    return ChatRequest(protocol="gemini", model="m", turns=(Turn("user", (Text(text),)),), output=output)


@pytest.mark.parametrize("schema", [{"type": "array"}, {"type": "string", "enum": ["a"]}, {"anyOf": [{}]}])
def test_a_schema_without_an_object_at_its_root_is_put_into_words_for_openai(schema: Any) -> None:
    request, losses = asked(OutputFormat("schema", schema)), list[Loss]()
    form = openai_format(request, Capabilities(), losses)
    assert form.kind == "text" and "JSON Schema" in form.instruction and len(losses) == 1
    elsewhere = Capabilities(dialect=Dialect(name="compatible"))
    assert openai_format(request, elsewhere, losses).kind == "schema"


@pytest.mark.parametrize(("text", "words"), [("Hi", "Answer with a JSON object."), ("As Json, please", "")])
def test_json_is_spoken_of_where_it_is_wanted(text: str, words: str) -> None:
    form = openai_format(asked(OutputFormat("json"), text), Capabilities(), [])
    assert (form.kind, form.instruction) == ("json", words)


def test_an_object_goes_as_a_schema() -> None:
    assert openai_format(asked(OutputFormat("schema", {"type": "object"})), Capabilities(), []).kind == "schema"
