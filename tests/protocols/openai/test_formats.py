from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Text
from bm.chat.request import ChatRequest, Loss, OutputFormat, Turn
from bm.protocols.openai.formats import openai_format


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
