from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.request import OutputFormat, Sampling
from bm.protocols.anthropic.parameters import encode_output, encode_sampling, encode_stop
from tests.protocols.anthropic.examples import HAIKU_3, OPUS_4_8, SONNET_4_5, chat


@pytest.mark.parametrize(
    ("sampling", "capabilities", "thinking", "sent", "losses"),
    [
        (Sampling(temperature=0.2), OPUS_4_8, False, {}, ["temperature"]),
        (Sampling(temperature=0.2), SONNET_4_5, False, {"temperature": 0.2}, []),
        (Sampling(temperature=0.2, top_p=0.9), SONNET_4_5, False, {"temperature": 0.2}, ["top_p"]),
        (Sampling(temperature=0.2, top_p=0.9), HAIKU_3, False, {"temperature": 0.2, "top_p": 0.9}, []),
        (Sampling(temperature=1.7), HAIKU_3, False, {"temperature": 1}, ["temperature"]),
        (Sampling(temperature=0.2, top_k=5), HAIKU_3, True, {}, ["temperature", "top_k"]),
        (Sampling(temperature=1, top_p=0.96), HAIKU_3, True, {"temperature": 1, "top_p": 0.96}, []),
        (Sampling(top_p=0.5), HAIKU_3, True, {}, ["top_p"]),
        (
            Sampling(seed=7, presence_penalty=0.5, logprobs=True),
            HAIKU_3,
            False,
            {},
            ["seed", "presence_penalty", "logprobs"],
        ),
        (Sampling(frequency_penalty=0, logprobs=False), HAIKU_3, False, {}, []),
    ],
)
def test_sampling_goes_as_far_as_the_model_takes_it(
    sampling: Sampling, capabilities: Capabilities, thinking: bool, sent: dict[str, Any], losses: list[str]
) -> None:
    body, lost = encode_sampling(chat(sampling=sampling), capabilities, thinking=thinking)
    assert (body, [loss.field for loss in lost]) == (sent, losses)


@pytest.mark.parametrize(
    ("stop", "most", "sent", "losses"),
    [
        ((), 0, {}, 0),
        (("a", "b"), 0, {"stop_sequences": ["a", "b"]}, 0),
        (("a", "\n"), 0, {"stop_sequences": ["a"]}, 1),
        (("\n",), 0, {}, 1),
        (("a", "b"), 1, {"stop_sequences": ["a"]}, 1),
    ],
)
def test_stop_sequences(stop: tuple[str, ...], most: int, sent: object, losses: int) -> None:
    body, lost = encode_stop(stop, Capabilities(max_stop=most))
    assert (body, len(lost)) == (sent, losses)


def test_a_schema_is_enforced_where_the_model_can() -> None:
    schema = {"type": "object", "properties": {}}
    config, instruction, lost = encode_output(OutputFormat("schema", schema=schema), OPUS_4_8)
    assert config == {"format": {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}}
    assert (instruction, lost) == ((), [])


@pytest.mark.parametrize("kind", ["json", "schema"])
def test_a_format_that_cannot_be_enforced_is_asked_for(kind: str) -> None:
    output = OutputFormat("json") if kind == "json" else OutputFormat("schema", schema={"title": "Kiwi"})
    config, (text,), (loss,) = encode_output(output, msgspec.structs.replace(OPUS_4_8, structured_output="none"))
    assert config == {}
    assert "JSON" in text.text
    assert ('{"title":"Kiwi"}' in text.text) is (kind == "schema")
    assert loss.field == "response_format"
