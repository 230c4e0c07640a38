"""Prompts that upstreams quote are not recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.gateway.redaction import MAX_KNOWN, MAX_MESSAGE, PromptRedaction, redacted
from bm.simulator import Rule
from tests.gateway.world import EVERY_CLIENT, MODELS, World, path_of
from tests.simulator.streams import body_of

PROMPT = 'My father\'s diagnosis is "grim".\nHis password is hunter2AB. Please try again.'
PICTURE = {"type": "image_url", "image_url": {"url": "https://pics.example/a.png?sig=x"}}
BODY = json.dumps(
    {
        "model": "claude-sonnet-4-5",
        "max_output_tokens2": 1,
        "messages": [
            {
                "role": "user",
                "content": 'My father\'s diagnosis is "grim".\nHis password is hunter2AB. Please try again.',
            },
            {
                "role": "user",
                "content": [PICTURE],
            },
            {"role": "user", "content": "Ärztinnen raten ab"},
        ],
    }
).encode()


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("Invalid value: 'His password is hunter2AB.'", "Invalid value: '…'"),
        ('Invalid prompt "grim" given', 'Invalid prompt "…" given'),
        ("could not process hunter2AB", "could not process …"),
        ("refused: My father's diagnosis is what", "refused: … what"),
        ("https://pics.example/a.png?sig=x cannot be fetched", "… cannot be fetched"),
        ("Ärztinnen raten ab ist kein Wert", "… raten ab ist kein Wert"),
        ("“Ärztinnen raten ab” is no value", "“…” is no value"),
    ],
)
def test_a_quote_of_the_prompt_is_replaced_by_an_ellipsis(message: str, kept: str) -> None:
    assert redacted(message, BODY) == kept


@pytest.mark.parametrize(
    "message",
    [
        "The model is overloaded. Please try again later.",
        "'max_output_tokens2' is not known",
        "max_output_tokens2: at least 16",
        "claude-sonnet-4-5 is not to be had",
        "You exceeded your current quota, limit: 15, 'GenerateRequestsPerMinutePerProject'",
        "",
    ],
)
def test_the_upstreams_own_words_stay(message: str) -> None:
    assert redacted(message, BODY, {"claude-sonnet-4-5"}) == message


def test_a_message_is_examined_up_to_the_limit() -> None:
    assert redacted("x" * 1000, BODY) == "x" * MAX_MESSAGE


def test_a_quote_within_a_quote_is_one_ellipsis() -> None:
    assert redacted("bad: 'password is hunter2AB'!", BODY) == "bad: '…'!"


def test_a_wording_without_quotes_is_remembered_apart_from_its_numbers() -> None:
    quotes = PromptRedaction()
    said = "You exceeded your quota of {} calls, retry in {}s"
    assert quotes.redact(said.format(15, 31.5), BODY) == said.format(15, 31.5)
    phrase = json.dumps({"content": said.format(60, 7)}).encode()
    assert quotes.redact(said.format(60, 7), phrase) == said.format(60, 7), "it is the service's own"
    assert quotes.redact("refused: 'hunter2AB'", BODY) == quotes.redact("refused: 'hunter2AB'", BODY) == "refused: '…'"


def test_the_number_of_remembered_wordings_is_limited() -> None:
    quotes = PromptRedaction()
    for letter in range(MAX_KNOWN + 10):
        quotes.redact(f"kind {chr(0x4E00 + letter)}", b"{}")
    assert len(quotes._harmless) == MAX_KNOWN


PLANTED = "Planted7Marker"
RULES = {
    "refused": Rule(status=400, message=f"Invalid value: '{PLANTED}'", times=None),
    "a fault": Rule(status=500, message=f"could not process {PLANTED}", times=None),
    "limited": Rule(status=429, message=f"too much of {PLANTED}", retry_info="60s", times=None),
    "a page": Rule(status=502, raw_body=f"<html>{PLANTED}</html>", content_type="text/html", times=None),
    "no answer": Rule(raw_body=f"echo: {PLANTED}", times=None),
    "in the stream": Rule(status=503, error_after=2, text="one two three", message=f"{PLANTED} was too much"),
}


def kept(world: World) -> dict[str, bytes]:
    """Everything that the daemon has written or reports, except to the client."""
    files = world.daemon.paths.config.parent.rglob("*")
    reported = {name: json.dumps(world.admin(name)).encode() for name in ("requests", "why/last", "accounts", "usage")}
    return {str(file): file.read_bytes() for file in files if file.is_file()} | reported


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@EVERY_CLIENT
def test_a_quoted_prompt_is_sent_to_the_client_and_recorded_nowhere(
    world: World, protocol: str, stream: bool, rule: Rule
) -> None:
    world.sim.script(rule)
    body = body_of(protocol, f"hello {PLANTED} and so on", MODELS[protocol], stream=stream)
    answer = world.send(protocol, path_of(protocol, MODELS[protocol], stream=stream), body, stream=stream)
    assert [name for name, content in kept(world).items() if PLANTED.encode() in content] == []
    assert PLANTED.encode() in answer.body or answer.complete


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "openai-responses"])
def test_the_url_of_a_failed_fetch_is_sent_to_the_client_and_recorded_nowhere(world: World, protocol: str) -> None:
    url = f"http://127.0.0.1:1/{PLANTED}.png"
    pictures: dict[str, Any] = {
        "anthropic": {"type": "image", "source": {"type": "url", "url": url}},
        "openai-chat": {"type": "image_url", "image_url": {"url": url}},
        "openai-responses": {"type": "input_image", "image_url": url},
    }
    field = "input" if protocol == "openai-responses" else "messages"
    body = body_of(protocol, model=MODELS[protocol], stream=False) | {
        field: [{"role": "user", "content": [pictures[protocol]]}]
    }
    answer = world.send(protocol, path_of(protocol, MODELS[protocol], stream=False), body)
    assert answer.status == 400 and PLANTED in answer.message
    assert [name for name, content in kept(world).items() if PLANTED.encode() in content] == []
