"""Who said what, and what it was: what holds for every pair of protocols."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.parts import Json
from bm.chat.repair import NO_RESULT
from bm.config.schema import UpstreamProxy
from bm.errors import RequestError
from bm.gateway.media import inlined, urls_to_fetch
from bm.names import ProtocolName
from bm.providers.capabilities import capabilities_of
from bm.upstream.fetch import FetchedMedia, NotFetched, fetch_media
from tests.protocols.pair import GROQ, HI, OPENAI, asks, hello, sent

GEMINI_3 = "gemini-3.8-flash"
PNG = "iVBORw0KGgo="
USER: Json = {"role": "user", "content": "Hi"}
IMAGE: Json = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


def claude(*messages: Json, **members: Any) -> Json:
    return {**HI["anthropic"], "messages": list(messages), **members}


def uses(*names: str) -> Json:
    return {"role": "assistant", "content": [_use(name) for name in names]}


def _use(name: str) -> Json:
    return {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}}


def result(name: str, content: Any, **members: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": f"toolu_{name}", "content": content, **members}


def chat(*messages: Json) -> Json:
    return {"model": "m", "messages": list(messages)}


def calls(*names: str) -> Json:
    made = [{"id": f"c_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names]
    return {"role": "assistant", "content": None, "tool_calls": made}


def tool(name: str, content: str) -> Json:
    return {"role": "tool", "tool_call_id": f"c_{name}", "content": content}


def to_gemini(client: ProtocolName, body: Json, model: str = GEMINI_3) -> Json:
    return sent(asks(client, body), "gemini", model).body


def responses(body: Json) -> list[Json]:
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [part["functionResponse"] for part in parts if "functionResponse" in part]


MIDWAY = claude(
    USER,
    {"role": "assistant", "content": "Hello"},
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Go on"},
    system="You help.",
)
REMINDER = "<system-reminder>\nBe brief.\n</system-reminder>"


def test_19_instructions_in_mid_conversation_stay_at_their_place_for_gemini() -> None:
    body = to_gemini("anthropic", MIDWAY)
    assert body["systemInstruction"]["parts"] == [{"text": "You help."}]
    assert body["contents"][-1] == {"role": "user", "parts": [{"text": REMINDER}, {"text": "Go on"}]}


def test_20_a_claude_without_them_reads_instructions_as_the_users() -> None:
    body = chat(USER, {"role": "assistant", "content": "Hello"}, {"role": "system", "content": "Be brief."}, USER)
    messages = sent(asks("openai-chat", body), "anthropic", "claude-sonnet-4-5").body["messages"]
    assert {message["role"] for message in messages} == {"user", "assistant"}
    assert [block["text"] for block in messages[-1]["content"]] == [REMINDER, "Hi"]


def test_21_instructions_alone_still_make_a_question() -> None:
    asked = asks("openai-chat", chat({"role": "system", "content": "Say hi."}))
    assert [content["role"] for content in sent(asked, "gemini", GEMINI_3).body["contents"]] == ["user"]
    body = sent(asked, "anthropic", "claude-opus-5").body
    [message] = body["messages"]
    assert message["role"] == "user" and all(block["text"].strip() for block in message["content"])


@pytest.mark.parametrize("model", [GEMINI_3, "gemini-2.5-flash"])
def test_22_an_image_alone_is_a_question(model: str) -> None:
    [content] = to_gemini("anthropic", claude({"role": "user", "content": [IMAGE]}), model)["contents"]
    assert content["parts"][0] == {"inlineData": {"mimeType": "image/png", "data": PNG}}


def test_23_results_come_before_the_users_words() -> None:
    body = claude(USER, uses("f"), {"role": "user", "content": [{"type": "text", "text": "And?"}, result("f", "1")]})
    messages = sent(asks("anthropic", body), "openai-chat", "gpt-5.4").body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "user"]
    assert messages[-1]["content"] == "And?"


def test_24_results_and_the_words_after_them_are_one_message_for_claude() -> None:
    body = chat(USER, calls("f", "g"), tool("f", "1"), tool("g", "2"), {"role": "user", "content": "And?"})
    messages = sent(asks("openai-chat", body), "anthropic", "claude-opus-5").body["messages"]
    kinds = [block["type"] for block in messages[-1]["content"]]
    assert len(messages) == 3 and kinds == ["tool_result", "tool_result", "text"]


@pytest.mark.parametrize("target", ["gemini", "openai-chat", "openai-responses"])
def test_25_a_missing_result_is_made_up_as_an_error(target: ProtocolName) -> None:
    body = claude(USER, uses("f", "g"), {"role": "user", "content": [result("g", "2")]})
    encoded = sent(asks("anthropic", body), target, GEMINI_3 if target == "gemini" else "gpt-5.4").body
    assert NO_RESULT in json.dumps(encoded)
    if target == "gemini":
        assert [each["name"] for each in responses(encoded)] == ["f", "g"]
        assert responses(encoded)[0]["response"] == {"error": NO_RESULT}


def test_26_results_are_put_into_the_order_of_their_calls() -> None:
    body = chat(USER, calls("f", "g", "h"), tool("h", "3"), tool("g", "2"), tool("f", "1"))
    reported = [(each["name"], each["response"]) for each in responses(to_gemini("openai-chat", body))]
    assert reported == [("f", {"output": "1"}), ("g", {"output": "2"}), ("h", {"output": "3"})]


def test_27_an_error_is_an_error_both_ways() -> None:
    body = claude(USER, uses("f"), {"role": "user", "content": [result("f", "boom", is_error=True)]})
    [answer] = responses(to_gemini("anthropic", body))
    assert answer["response"] == {"error": "boom"}
    contents = [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "boom"}}}]},
    ]
    back = sent(asks("gemini", {"contents": contents}), "anthropic", "claude-opus-5").body["messages"][-1]["content"]
    assert back[0]["is_error"] is True and back[0]["content"] == "boom"


@pytest.mark.parametrize("client", ["anthropic", "openai-chat"])
def test_28_a_result_with_a_reference_in_it_reaches_gemini_as_text(client: ProtocolName) -> None:
    text = '{"$ref":"#/defs/A"}'
    body = (
        chat(USER, calls("f"), tool("f", text))
        if client == "openai-chat"
        else claude(USER, uses("f"), {"role": "user", "content": [result("f", text)]})
    )
    assert [each["response"] for each in responses(to_gemini(client, body))] == [{"output": text}]


SEEN = claude(USER, uses("f", "g"), {"role": "user", "content": [result("f", [IMAGE]), result("g", "2")]})


def test_29_an_image_in_a_result_goes_inside_it_to_gemini_3_and_behind_it_before() -> None:
    inside = responses(to_gemini("anthropic", SEEN))
    assert inside[0]["parts"] == [{"inlineData": {"mimeType": "image/png", "data": PNG}}]
    parts = to_gemini("anthropic", SEEN, "gemini-2.5-flash")["contents"][-1]["parts"]
    assert ["functionResponse" in part for part in parts] == [True, True, False] and "inlineData" in parts[2]


def test_29_elsewhere_it_comes_from_the_user_after_all_results() -> None:
    request = asks("anthropic", SEEN)
    messages = sent(request, "openai-chat", "meta-llama/llama-4-scout", GROQ).body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert messages[-1]["content"][0]["type"] == "image_url"


@pytest.mark.parametrize("content", ["", []])
def test_30_an_empty_result_becomes_a_note_for_gemini(content: Any) -> None:
    body = claude(USER, uses("f"), {"role": "user", "content": [result("f", content)]})
    [answer] = responses(to_gemini("anthropic", body))
    assert answer["response"]["output"].strip()


@pytest.mark.parametrize(
    ("target", "model"), [("gemini", GEMINI_3), ("openai-chat", "gpt-5.4"), ("openai-responses", "gpt-5.4")]
)
def test_31_an_argument_named_cache_control_arrives(target: ProtocolName, model: str) -> None:
    given = {"cache_control": {"type": "ephemeral"}, "path": "x"}
    use = {"type": "tool_use", "id": "toolu_f", "name": "f", "input": given, "cache_control": {"type": "ephemeral"}}
    body = claude(USER, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result("f", "ok")]})
    text = json.dumps(sent(asks("anthropic", body), target, model).body).replace("\\", "").replace(": ", ":")
    assert text.count('"cache_control":{"type":"ephemeral"}') == 1


def test_32_a_message_of_calls_alone_has_no_text_and_no_nulls() -> None:
    body = chat(USER, {**calls("f"), "function_call": None, "refusal": None}, tool("f", "1"))
    request = asks("openai-chat", body)
    assert sent(request, "anthropic", "claude-opus-5").body["messages"][1]["content"] == [
        {"type": "tool_use", "id": "c_f", "name": "f", "input": {}}
    ]
    assert "null" not in json.dumps(sent(request, "openai-chat", "llama-3.3-70b", GROQ).body)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1/a.png", "http://[::1]/a"])
async def test_33_no_private_address_is_fetched(url: str) -> None:
    with pytest.raises(NotFetched):
        await fetch_media(url, proxy=UpstreamProxy())
    asked = hello("openai-chat", messages=[{"role": "user", "content": [_linked(url)]}])

    async def get(address: str) -> FetchedMedia:
        return await fetch_media(address, proxy=UpstreamProxy())

    with pytest.raises(RequestError) as refusal:
        await inlined(asked, [url], get)
    assert refusal.value.failure.kind == "bad_request"


def _linked(url: str) -> Json:
    return {"type": "image_url", "image_url": {"url": url}}


def test_34_a_text_document_is_text_with_its_title_first() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Body."}
    document = {"type": "document", "title": "Notes", "source": source}
    [content] = to_gemini("anthropic", claude({"role": "user", "content": [document]}))["contents"]
    [part] = content["parts"]
    assert part["text"].splitlines()[0] == "Notes" and part["text"].endswith("Body.")


@pytest.mark.parametrize("client", ["anthropic", "openai-chat", "openai-responses"])
def test_35_an_image_by_url_is_fetched_or_refused_and_never_forgotten(client: ProtocolName) -> None:
    url = "https://pictures.example/a.png"
    linked: dict[ProtocolName, Json] = {
        "anthropic": {
            "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}]}]
        },
        "openai-chat": {"messages": [{"role": "user", "content": [_linked(url)]}]},
        "openai-responses": {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]},
    }
    request = hello(client, **linked[client])
    assert urls_to_fetch(request, "gemini", capabilities_of("gemini", OPENAI, GEMINI_3)) == [url]
    with pytest.raises(RequestError):
        sent(request, "gemini", GEMINI_3)
