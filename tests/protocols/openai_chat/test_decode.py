from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, Extra, OutputFormat, Sampling, Turn
from bm.errors import RequestError
from bm.protocols.openai_chat.decode import decode_request
from tests.protocols.openai_chat.kit import client_request

BODY: Json = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_plain_request() -> None:
    assert decode_request(BODY) == ChatRequest(protocol="openai-chat", model="m", turns=(Turn("user", (Text("Hi"),)),))


def test_model_and_stream_may_come_from_outside() -> None:
    request = decode_request(BODY, model="other", stream=True)
    assert (request.model, request.stream) == ("other", True)


@pytest.mark.parametrize(
    ("members", "name", "value"),
    [
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_tokens": 5, "max_completion_tokens": 7}, "max_tokens", 7),
        ({"max_tokens": None, "max_completion_tokens": 7.0}, "max_tokens", 7),
        ({"max_tokens": -1}, "max_tokens", None),
        ({"stop": "X"}, "stop", ("X",)),
        ({"stop": ["X", "", "Y"]}, "stop", ("X", "Y")),
        ({"stop": None}, "stop", ()),
        ({"n": 3}, "choices", 3),
        ({"stream": True}, "stream", True),
        ({"stream": None}, "stream", False),
        ({"stream_options": {"include_usage": True, "include_obfuscation": False}}, "stream_usage", True),
        ({"user": "u"}, "user", "u"),
        ({"safety_identifier": "s"}, "user", "s"),
        ({"prompt_cache_key": "k"}, "cache_key", "k"),
        ({"temperature": 0, "top_p": 0.5, "seed": 3}, "sampling", Sampling(temperature=0, top_p=0.5, seed=3)),
        ({"random_seed": 3, "top_k": 40}, "sampling", Sampling(seed=3, top_k=40)),
        ({"logprobs": True, "top_logprobs": 2}, "sampling", Sampling(logprobs=True, top_logprobs=2)),
        ({"logprobs": 1}, "sampling", Sampling(logprobs=True)),
        (
            {"presence_penalty": 1, "frequency_penalty": -1},
            "sampling",
            Sampling(presence_penalty=1, frequency_penalty=-1),
        ),
        ({"response_format": {"type": "text"}}, "output", OutputFormat()),
        ({"response_format": {"type": "json_object"}}, "output", OutputFormat("json")),
        (
            {"response_format": {"type": "json_object", "schema": {"type": "object"}}},
            "output",
            OutputFormat("schema", {"type": "object"}),
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "description": "d", "strict": True, "schema": {"type": "object"}},
                }
            },
            "output",
            OutputFormat("schema", {"type": "object"}, "n", "d", True),
        ),
    ],
)
def test_members_are_read(members: Json, name: str, value: Any) -> None:
    assert getattr(client_request(**members), name) == value


def test_nothing_is_forgotten() -> None:
    request = client_request(
        user="u",
        safety_identifier="s",
        store=True,
        metadata={"a": "b"},
        verbosity=None,
        response_format={"type": "new"},
    )
    assert request.extras == (
        Extra("openai-chat", "store", True),
        Extra("openai-chat", "metadata", {"a": "b"}),
        Extra("openai-chat", "response_format", {"type": "new"}),
        Extra("openai-chat", "user", "u"),
    )


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"model": None}, "model: expected the name of a model, got nothing"),
        ({"model": 5}, "model: expected a string, got a number"),
        ({"temperature": "hot"}, "temperature: expected a number, got a string"),
        ({"n": 0}, "n: expected at least 1, got 0"),
        ({"stop": [5]}, "stop[0]: expected a string, got a number"),
        ({"stop": 5}, "stop: expected an array, got a number"),
        ({"stream": "yes"}, "stream: expected a boolean, got a string"),
        ({"stream_options": []}, "stream_options: expected an object, got an array"),
        ({"tools": {}}, "tools: expected an array, got an object"),
        ({"response_format": {"type": 5}}, "response_format.type: expected a string, got a number"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema: expected an object, got null"),
    ],
)
def test_a_fault_names_the_place_and_what_was_expected(members: Json, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_request({**BODY, **members})
    assert caught.value.failure.message == message
    assert message.startswith(caught.value.failure.param + ":")
