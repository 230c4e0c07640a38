"""Parameters are written as far as a model takes them; the rest is reported by the client's name for it."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Extra, Loss, OutputFormat, Sampling, Tool
from bm.errors import RequestError
from bm.names import ProtocolName
from bm.protocols import parameters

SCHEMA = {"title": "Kiwi"}


def asks(protocol: ProtocolName = "openai-chat", **members: Any) -> ChatRequest:
    return ChatRequest(protocol=protocol, model="m", turns=(), **members)


def names(losses: list[Loss]) -> list[str]:
    return [loss.field for loss in losses]


@pytest.mark.parametrize(
    ("sampling", "capabilities", "known", "sent", "lost"),
    [
        (Sampling(temperature=0.2, top_k=4), {}, ("temperature",), {"temperature": 0.2}, ["top_k"]),
        (Sampling(temperature=0.2), {"sampling": False}, parameters.SAMPLING, {}, ["temperature"]),
        (Sampling(temperature=1, presence_penalty=0), {"sampling": False, "penalties": False}, (), {}, []),
        (
            Sampling(temperature=0.2, top_p=0.5),
            {"temperature_or_top_p": True},
            parameters.SAMPLING,
            {"temperature": 0.2},
            ["top_p"],
        ),
        (Sampling(logprobs=True), {}, parameters.SAMPLING, {}, ["logprobs"]),
        (Sampling(logprobs=False), {}, parameters.SAMPLING, {}, []),
    ],
)
def test_sampling(sampling: Sampling, capabilities: Json, known: Any, sent: Json, lost: list[str]) -> None:
    losses: list[Loss] = []
    request = asks(sampling=sampling)
    written = parameters.sampling(request, Capabilities(**capabilities), losses, protocol="gemini", known=known)
    assert (written, names(losses)) == (sent, lost)


def test_an_objection_of_the_codec_is_a_loss() -> None:
    losses: list[Loss] = []
    written = parameters.sampling(
        asks(sampling=Sampling(temperature=0.5, seed=1)),
        Capabilities(),
        losses,
        protocol="openai-chat",
        objection=lambda name, value: "too cold" if name == "temperature" else "",
    )
    assert (written, losses) == ({"seed": 1}, [Loss("temperature", "too cold")])


@pytest.mark.parametrize(
    ("stop", "most", "sent", "lost"),
    [
        (("a", "", "b"), 0, ["a", "b"], []),
        (("a", "\n"), 0, ["a"], ["stop_sequences"]),
        (("a", "b", "c"), 2, ["a", "b"], ["stop_sequences[2:]"]),
        ((), 2, [], []),
    ],
)
def test_stop_sequences(stop: tuple[str, ...], most: int, sent: list[str], lost: list[str]) -> None:
    losses: list[Loss] = []
    assert parameters.stop_sequences(asks("anthropic", stop=stop), most, losses, blank=False) == sent
    assert names(losses) == lost
    assert parameters.stop_sequences(asks(stop=("\n",)), 0, losses) == ["\n"]


@pytest.mark.parametrize(("asked", "most", "sent"), [(None, 5, None), (9, 5, 5), (3, 5, 3), (9, 0, 9)])
def test_max_tokens(asked: int | None, most: int, sent: int | None) -> None:
    assert parameters.max_tokens(asks(max_tokens=asked), most) == sent


def test_an_answer_of_no_tokens_is_refused_by_the_clients_name() -> None:
    with pytest.raises(RequestError, match=r"generationConfig\.maxOutputTokens: "):
        parameters.max_tokens(asks("gemini", max_tokens=0), 0)


@pytest.mark.parametrize(
    ("kind", "able", "json", "written", "in_words"),
    [
        ("text", "none", True, "text", False),
        ("json", "schema", True, "json", False),
        ("json", "schema", False, "text", True),
        ("json", "none", True, "text", True),
        ("schema", "schema", True, "schema", False),
        ("schema", "json", True, "json", True),
        ("schema", "json", False, "text", True),
        ("schema", "none", True, "text", True),
    ],
)
def test_the_format_of_the_answer(kind: Any, able: Any, json: bool, written: str, in_words: bool) -> None:
    losses: list[Loss] = []
    request = asks(output=OutputFormat(kind, schema=SCHEMA if kind == "schema" else None))
    form = parameters.output_format(request, Capabilities(structured_output=able), losses, json=json)
    assert (form.kind, "JSON" in form.instruction, names(losses)) == (
        written,
        in_words,
        ["response_format"] if in_words else [],
    )
    assert ('{"title":"Kiwi"}' in form.instruction) is (in_words and kind == "schema")


def test_a_format_yields_to_tools_where_the_two_do_not_combine() -> None:
    request = asks(output=OutputFormat("json"), tools=(Tool("f"),))
    form = parameters.output_format(request, Capabilities(structured_with_tools=False), [])
    assert form.kind == "text" and form.instruction


def test_unmapped_fields_return_to_their_own_protocol_and_are_lost_elsewhere() -> None:
    losses: list[Loss] = []
    own, nested = Extra("gemini", "labels", {}), Extra("gemini", "contents[0].parts[0].videoMetadata", {})
    foreign = (Extra("openai-chat", "store", True), Extra("openai-chat", "audio", {}))
    request = asks("gemini", extras=(own, nested, *foreign))
    assert list(parameters.own_extras(request, "gemini", losses)) == [own]
    assert names(losses) == [nested.field, "audio"]


def test_a_field_is_put_into_objects_that_are_copied() -> None:
    inner = {"a": 1}
    body: Json = {"text": inner}
    parameters.put(body, "text.verbosity", "low")
    parameters.put(body, "reasoning.summary", "auto")
    assert body == {"text": {"a": 1, "verbosity": "low"}, "reasoning": {"summary": "auto"}}
    assert inner == {"a": 1}


def test_refused_fields_are_lost_unless_the_answer_is_the_same_without_them() -> None:
    losses: list[Loss] = []
    body = {"user": "u", "seed": 1, "logprobs": False, "stop": ["a"]}
    parameters.drop_refused(body, {"user", "seed", "logprobs", "n"}, {"user"}, losses)
    assert (body, names(losses)) == ({"stop": ["a"]}, ["seed"])


def test_a_long_name_is_digested() -> None:
    assert parameters.short("u" * 64, 64) == "u" * 64
    one, other = parameters.short("u" * 65, 64), parameters.short("u" * 66, 64)
    assert len(one) == len(other) == 64 and one != other


def test_a_value_that_the_model_refuses_is_removed_and_reported() -> None:
    body, losses = {"a": "x", "b": "y", "c": 1}, list[Loss]()
    parameters.drop_values(body, ("a=x", "b=other", "c", "d"), losses)
    assert body == {"b": "y"}
    assert [loss.field for loss in losses] == ["a", "c"]
