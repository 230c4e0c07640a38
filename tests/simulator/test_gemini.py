"""generateContent: the official SDK, the official types, signatures and usage as the service gives them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types

from bm.simulator import Rule, Simulator, ToolCall
from tests.simulator.streams import body_of
from tests.support.shared import needs_corpus, validators

MODEL = "gemini-3-flash-preview"
BUSY = Rule(
    thinking="I should look.",
    preface="Let me look.",
    tool_calls=(ToolCall("look", {"at": "the sky"}), ToolCall("look")),
    text="It is blue.",
)
CONFIG = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[types.FunctionDeclaration(name="look")])],
    thinking_config=types.ThinkingConfig(include_thoughts=True),
)


@pytest.fixture
def client(sim: Simulator) -> Iterator[genai.Client]:
    """The SDK, pointed at the simulator."""
    made = genai.Client(api_key="key-one", http_options={"base_url": sim.url})
    yield made
    made.close()


def stream(http: httpx.Client, model: str = MODEL, *, alt: str = "?alt=sse", **fields: Any) -> httpx.Response:
    return http.post(f"/v1beta/models/{model}:streamGenerateContent{alt}", json=body_of("gemini", **fields))


def chunks(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in answer.text.split("\r\n") if line]


@pytest.mark.parametrize("model", [MODEL, "gemini-2.5-flash"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_loop_with_thoughts_and_parallel_calls(
    sim: Simulator, client: genai.Client, streamed: bool, model: str
) -> None:
    sim.script(BUSY)
    contents: list[Any] = [types.Content(role="user", parts=[types.Part(text="What colour is the sky?")])]

    def turn() -> list[types.Part]:
        if not streamed:
            answers = [client.models.generate_content(model=model, contents=contents, config=CONFIG)]
        else:
            answers = list(client.models.generate_content_stream(model=model, contents=contents, config=CONFIG))
        found = [answer.candidates[0].content for answer in answers if answer.candidates]
        return [part for content in found if content for part in content.parts or []]

    parts = turn()
    calls = [part for part in parts if part.function_call]
    assert [bool(part.thought_signature) for part in calls] == [model == MODEL, False]
    assert [bool(part.function_call and part.function_call.id) for part in calls] == [model == MODEL] * 2
    assert any(part.thought for part in parts)
    answers = [types.Part.from_function_response(name="look", response={"output": "blue"}) for _ in calls]
    contents += [types.Content(role="model", parts=parts), types.Content(role="user", parts=answers)]
    assert "".join(part.text or "" for part in turn() if not part.thought) == "It is blue."


def test_identifiers_that_a_client_invented_are_no_hindrance(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(tool_calls=(ToolCall("look"),), text="It is blue.", times=None))
    part = {"id": "invented", "name": "look", "response": {"output": "blue"}}
    contents = [
        {"role": "user", "parts": [{"text": "What colour is the sky?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "look", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": part}]},
    ]
    path, tools = "/v1beta/models/gemini-2.5-flash:generateContent", [{"functionDeclarations": [{"name": "look"}]}]
    assert "functionCall" in http.post(path, json={"contents": contents[:1], "tools": tools}).text
    assert "It is blue." in http.post(path, json={"contents": contents, "tools": tools}).text


@needs_corpus
@pytest.mark.corpus
@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent?alt=sse", "streamGenerateContent"])
@pytest.mark.parametrize(
    "rule", [Rule(), BUSY, Rule(text=""), Rule(finish="content_filter"), Rule(finish="blocked_prompt")]
)
def test_an_answer_is_of_the_official_types(sim: Simulator, http: httpx.Client, verb: str, rule: Rule) -> None:
    sim.script(rule)
    config = {"thinkingConfig": {"includeThoughts": True}}
    answer = http.post(f"/v1beta/models/{MODEL}:{verb}", json=body_of("gemini", generationConfig=config))
    result = validators().validate_response("gemini.generateContent", answer.text, compat=False)
    assert (result.errors, result.warnings) == ([], [])


def test_events_end_with_crlf_and_have_no_names(http: httpx.Client) -> None:
    text = stream(http).text
    assert text.endswith("}\r\n\r\n")
    assert "\n" not in text.replace("\r\n", "")
    assert all(line.startswith("data: ") for line in text.split("\r\n") if line)
    assert "[DONE]" not in text


def test_without_alt_sse_the_stream_is_one_array(http: httpx.Client) -> None:
    answer = stream(http, alt="")
    assert answer.headers["content-type"] == "application/json"
    assert [chunk["modelVersion"] for chunk in answer.json()] == [MODEL] * len(answer.json())
    assert len(answer.json()) > 1


def test_usage_grows_from_chunk_to_chunk(http: httpx.Client) -> None:
    usages = [chunk["usageMetadata"] for chunk in chunks(stream(http))]
    said = [usage.get("candidatesTokenCount", 0) for usage in usages]
    assert said == sorted(said)
    assert all(usage["totalTokenCount"] >= usage["promptTokenCount"] for usage in usages)
    assert said[-1] > said[0]


def test_a_stream_without_calls_is_signed_on_an_empty_text_at_its_end(http: httpx.Client) -> None:
    parts = [chunk["candidates"][0]["content"]["parts"][0] for chunk in chunks(stream(http))]
    assert [("thoughtSignature" in part, part["text"] == "") for part in parts[-2:]] == [(False, False), (True, True)]


def test_a_whole_answer_without_calls_is_signed_on_its_last_part(http: httpx.Client) -> None:
    body = http.post(f"/v1beta/models/{MODEL}:generateContent", json=body_of("gemini")).json()
    assert body["candidates"][0]["content"]["parts"][-1].keys() == {"text", "thoughtSignature"}


def test_older_models_sign_nothing(http: httpx.Client) -> None:
    assert "thoughtSignature" not in stream(http, "gemini-2.5-flash").text


def test_thoughts_that_are_not_asked_for_are_counted_but_not_shown(sim: Simulator, http: httpx.Client) -> None:
    sim.script(Rule(thinking="I should look."))
    last = chunks(stream(http))[-1]
    assert last["usageMetadata"]["thoughtsTokenCount"] == 4
    assert "I should look." not in stream(http).text


@pytest.mark.parametrize("model", [MODEL, f"models/{MODEL}"])
def test_tokens_are_counted(client: genai.Client, model: str) -> None:
    counted = client.models.count_tokens(model=model, contents="hello").total_tokens
    spent = client.models.generate_content(model=model, contents="hello").usage_metadata
    assert spent is not None
    assert counted == spent.prompt_token_count


def test_a_count_may_be_of_a_whole_request(http: httpx.Client) -> None:
    whole = {"model": f"models/{MODEL}", "systemInstruction": {"parts": [{"text": "Be kind."}]}, **body_of("gemini")}
    plain = http.post(f"/v1beta/models/{MODEL}:countTokens", json=body_of("gemini")).json()["totalTokens"]
    more = http.post(f"/v1beta/models/{MODEL}:countTokens", json={"generateContentRequest": whole}).json()
    assert more["totalTokens"] > plain
