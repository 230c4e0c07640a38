from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.splice import rename_in_events, rename_in_response, splice_model


@pytest.mark.parametrize(
    ("body", "spliced"),
    [
        (b'{"model":"a","x":1}', b'{"model":"b","x":1}'),
        (b'{ "x" : 1.0, "model" :  "a" }\n', b'{ "x" : 1.0, "model" :  "b" }\n'),
        (b'{"tools":[{"model":"a"}],"model":"a"}', b'{"tools":[{"model":"a"}],"model":"b"}'),
        (b'{"text":"{\\"model\\":\\"a\\"}","model":"a"}', b'{"text":"{\\"model\\":\\"a\\"}","model":"b"}'),
        (b'{"model":"a","model":"a"}', b'{"model":"a","model":"b"}'),
        (b'{"mod\\u0065l":"a","x":[1,  2]}', b'{"model":"b","x":[1,  2]}'),
        (b'{"x":1}', b'{"x":1,"model":"b"}'),
        (b'{"model":"a\\"\\\\"}', b'{"model":"b"}'),
    ],
    ids=["first", "spaced", "deeper-too", "in-text", "twice", "escaped-key", "absent", "escaped-value"],
)
def test_only_the_top_level_model_changes(body: bytes, spliced: bytes) -> None:
    assert splice_model(body, "b") == spliced


def test_a_name_that_is_known_need_not_be_looked_for() -> None:
    body = b'{"tools":[{"model":"a"}],"model":"a"}'
    assert splice_model(body, "a", present="a") is body
    assert splice_model(body, "b", present="a") == splice_model(body, "b")


def test_the_same_name_gives_the_same_object() -> None:
    body = b'{"model":"a","x":1}'
    assert splice_model(body, "a") is body


def test_a_body_that_is_no_object_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        splice_model(b"[1]", "a")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "x", "y"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), json_values), json_values, st.text(max_size=8))
def test_every_other_member_stays(head: dict[str, object], tail: object, model: str) -> None:
    body = {**head, "model": "old", "tail": tail}
    assert json.loads(splice_model(json.dumps(body).encode(), model)) == {**body, "model": model}


EVENTS: dict[ProtocolName, bytes] = {
    "anthropic": b'{"type":"message_start","message":{"model":"theirs","x":1.0}}',
    "openai-chat": b'{"choices":[],"model":"theirs"}',
    "openai-responses": b'{"type":"response.created","response":{"model":"theirs"}}',
    "gemini": b'{"candidates":[],"modelVersion":"theirs"}',
}
WHOLE: dict[ProtocolName, bytes] = {
    "anthropic": b'{"content":[],"model":"theirs"}',
    "openai-chat": b'{"choices":[],"model":"theirs"}',
    "openai-responses": b'{"output":[],"model":"theirs"}',
    "gemini": b'{"candidates":[],"modelVersion":"theirs"}',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_names_the_model_that_was_asked_for(protocol: ProtocolName) -> None:
    event, whole = EVENTS[protocol], WHOLE[protocol]
    assert rename_in_events(protocol, 'a "b"')(event) == event.replace(b"theirs", b'a \\"b\\"')
    assert rename_in_response(protocol, whole, "asked") == whole.replace(b"theirs", b"asked")


@pytest.mark.parametrize(
    ("protocol", "event"),
    [
        (
            "gemini",
            b'{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"model":"x","modelVersion":"y"}}}]}}]}',
        ),
        ("anthropic", b'{"type":"content_block_start","content_block":{"type":"mcp_tool_use","input":{"model":"x"}}}'),
        ("anthropic", b'{"model":"x","message":null}'),
        ("openai-chat", b'{"choices":[{"delta":{"model":"x"}}]}'),
        ("openai-chat", b'{"model":null}'),
        ("openai-responses", b'{"type":"response.output_item.done","item":{"arguments":{"model":"x"}},"model":"x"}'),
        ("gemini", b'{"model":"x"}'),
        ("gemini", b'[{"modelVersion":"x"}]'),
        ("openai-chat", b'{"model":"x'),
    ],
)
def test_no_other_member_of_that_name_is_renamed(protocol: ProtocolName, event: bytes) -> None:
    assert rename_in_events(protocol, "asked")(event) is event
