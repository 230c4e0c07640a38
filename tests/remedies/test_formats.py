from __future__ import annotations

from typing import Any

import pytest

from bm.names import ProtocolName
from bm.protocols.parameters import json_in_words
from tests.remedies.heal import CHAT, CLAUDE, GEMINI, RESPONSES, done

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
ASKED: dict[ProtocolName, Any] = {
    CHAT: {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}, "messages": []},
    RESPONSES: {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}, "input": []},
    CLAUDE: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}, "messages": []},
    GEMINI: {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
}


@pytest.mark.parametrize("protocol", ASKED)
def test_a_schema_that_is_not_taken_is_said_in_words(protocol: ProtocolName) -> None:
    changed = done("weaken", ASKED[protocol], "schema", protocol=protocol)
    assert '"minimum' in str(changed) and "json_schema" not in str(changed) and "responseJsonSchema" not in str(changed)
    assert ("json" in str(changed.get("response_format", changed.get("text", "json")))) is True


def test_json_that_is_not_taken_is_asked_for_in_words() -> None:
    changed = done("weaken", {"response_format": {"type": "json_object"}, "messages": []}, "json")
    assert changed == {"messages": [{"role": "system", "content": json_in_words(None)}]}
    assert done("weaken", ASKED[CHAT], "schema", "json").keys() == {"messages"}
    assert done("weaken", {"messages": []}, "schema", "json") is None


def test_the_word_is_said_once() -> None:
    body = {"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "hi"}]}
    assert done("say_json", body)["messages"][0]["role"] == "system"
    assert done("say_json", body | {"messages": [{"role": "user", "content": "as JSON"}]}) is None


def test_keywords_move_into_descriptions() -> None:
    changed = done("describe_keywords", ASKED[CLAUDE], "minimum", protocol=CLAUDE)
    schema = changed["output_config"]["format"]["schema"]
    assert schema["properties"]["n"] == {"type": "integer", "description": "{minimum: 1}"}
    assert schema["additionalProperties"] is False
