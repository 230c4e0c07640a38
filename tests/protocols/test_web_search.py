"""A search that one vendor ran, as the client of another reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from bm.chat.events import Event
from bm.chat.parts import Json
from bm.names import ProtocolName
from bm.protocols.sanitize import sanitize
from bm.protocols.tools import offers_search
from tests.protocols.pair import CLIENTS, GROQ, check, hello, reported, streamed, whole
from tests.support import grammar_anthropic

TEXT = "Größe: Kiwis weigh 90 g."
PAGE = "https://kiwi.example/"

GEMINI_CHUNKS: list[Json] = [
    {"candidates": [{"content": {"parts": [{"text": TEXT}], "role": "model"}, "groundingMetadata": {}}]},
    {
        "candidates": [
            {
                "content": {"parts": [{"text": ""}], "role": "model"},
                "finishReason": "STOP",
                "groundingMetadata": {
                    "webSearchQueries": ["kiwi weight"],
                    "groundingChunks": [{"web": {"uri": PAGE, "title": "Kiwi"}}],
                    "groundingSupports": [
                        {
                            "segment": {"startIndex": 9, "endIndex": 26, "text": "Kiwis weigh 90 g."},
                            "groundingChunkIndices": [0],
                        }
                    ],
                },
            }
        ]
    },
]
CLAUDE_BLOCKS: list[Json] = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "kiwi weight"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": PAGE, "title": "Kiwi", "encrypted_content": "e"}],
    },
]
CLAUDE: list[Json] = [
    {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 1, "output_tokens": 1}}},
    *(
        event
        for index, block in enumerate(CLAUDE_BLOCKS)
        for event in (
            {"type": "content_block_start", "index": index, "content_block": block},
            {"type": "content_block_stop", "index": index},
        )
    ),
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {
            "type": "citations_delta",
            "citation": {
                "type": "web_search_result_location",
                "url": PAGE,
                "title": "Kiwi",
                "cited_text": "90 g",
                "encrypted_index": "i",
            },
        },
    },
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": TEXT}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
GROQ_CHUNKS: list[Json] = [
    {
        "id": "c",
        "choices": [
            {
                "index": 0,
                "delta": {
                    "executed_tools": [
                        {
                            "index": 0,
                            "type": "search",
                            "arguments": '{"query": "kiwi weight"}',
                            "output": "…",
                            "search_results": {"results": [{"url": PAGE, "title": "Kiwi", "content": "90 g"}]},
                        }
                    ]
                },
            }
        ],
    },
    {"id": "c", "choices": [{"index": 0, "delta": {"content": TEXT}, "finish_reason": "stop"}]},
]
RESPONSES_ITEMS: list[Json] = [
    {
        "id": "ws_1",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "kiwi weight", "sources": [{"type": "url", "url": PAGE}]},
    },
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [
            {
                "type": "output_text",
                "text": TEXT,
                "annotations": [
                    {"type": "url_citation", "url": PAGE, "title": "Kiwi", "start_index": 7, "end_index": 24}
                ],
            }
        ],
    },
]
RESPONSES: list[Json] = [
    {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": RESPONSES_ITEMS}}
]
ANSWERS: dict[str, list[Event]] = {
    "gemini": reported("gemini", GEMINI_CHUNKS),
    "anthropic": reported("anthropic", CLAUDE),
    "groq": reported("openai-chat", GROQ_CHUNKS, GROQ),
    "openai-responses": reported("openai-responses", RESPONSES),
}
TOOLS: dict[ProtocolName, Json] = {
    "anthropic": {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 8}]},
    "openai-chat": {"web_search_options": {}},
    "openai-responses": {"tools": [{"type": "web_search"}]},
    "gemini": {"tools": [{"googleSearch": {}}]},
}


def shown(client: ProtocolName, upstream: str, *, searching: bool = True) -> Json:
    """The whole answer for a client, after the same as a stream has passed its grammar."""
    request = hello(client, **(TOOLS[client] if searching else {}))
    assert offers_search(request) is searching
    check(request, streamed(request, ANSWERS[upstream]), complete=True)
    return whole(request, ANSWERS[upstream])


@pytest.mark.parametrize("upstream", ["gemini", "groq", "openai-responses"])
def test_an_anthropic_client_that_asked_reads_query_and_results(upstream: str) -> None:
    content = shown("anthropic", upstream)["content"]
    use = next(block for block in content if block["type"] == "server_tool_use")
    result = next(block for block in content if block["type"] == "web_search_tool_result")
    assert use["name"] == "web_search" and use["input"] == {"query": "kiwi weight"}
    assert result["tool_use_id"] == use["id"] and result["content"][0]["url"] == PAGE
    assert "".join(block["text"] for block in content if block["type"] == "text") == TEXT


@pytest.mark.parametrize("upstream", ["gemini", "openai-responses"])
def test_an_anthropic_client_that_asked_reads_citations(upstream: str) -> None:
    [text] = [block for block in shown("anthropic", upstream)["content"] if block["type"] == "text"]
    assert [(cited["type"], cited["url"]) for cited in text["citations"]] == [("web_search_result_location", PAGE)]


@pytest.mark.parametrize("upstream", ["gemini", "groq", "openai-responses"])
def test_an_anthropic_client_that_asked_for_no_search_reads_the_text_alone(upstream: str) -> None:
    assert shown("anthropic", upstream, searching=False)["content"] == [{"type": "text", "text": TEXT}]


@pytest.mark.parametrize(
    ("upstream", "place"), [("gemini", (7, 24)), ("openai-responses", (7, 24)), ("anthropic", (0, len(TEXT)))]
)
@pytest.mark.parametrize("client", ["openai-chat", "openai-responses"])
def test_openais_clients_read_annotations_in_characters(
    client: ProtocolName, upstream: str, place: tuple[int, int]
) -> None:
    answer = shown(client, upstream)
    if client == "openai-chat":
        message = answer["choices"][0]["message"]
        text, [note] = message["content"], [each["url_citation"] for each in message["annotations"]]
    else:
        [part] = next(item for item in answer["output"] if item["type"] == "message")["content"]
        text, [note] = part["text"], part["annotations"]
    assert text == TEXT
    assert (note["url"], note["title"], note["start_index"], note["end_index"]) == (PAGE, "Kiwi", *place)


@pytest.mark.parametrize("upstream", ["gemini", "groq", "anthropic"])
def test_a_responses_client_that_asked_reads_a_call_of_the_search(upstream: str) -> None:
    [call] = [item for item in shown("openai-responses", upstream)["output"] if item["type"] == "web_search_call"]
    assert call["action"]["query"] == "kiwi weight" and call["status"] == "completed"


@pytest.mark.parametrize("upstream", ["anthropic", "groq", "openai-responses"])
def test_a_gemini_client_reads_grounding(upstream: str) -> None:
    [candidate] = shown("gemini", upstream)["candidates"]
    grounding = candidate["groundingMetadata"]
    assert grounding["webSearchQueries"] == ["kiwi weight"]
    assert grounding["groundingChunks"][0]["web"]["uri"] == PAGE
    assert [part["text"] for part in candidate["content"]["parts"]] == [TEXT]


@pytest.mark.parametrize(("upstream", "begins"), [("anthropic", 0), ("openai-responses", 9)])
def test_grounding_counts_bytes(upstream: str, begins: int) -> None:
    [support] = shown("gemini", upstream)["candidates"][0]["groundingMetadata"]["groundingSupports"]
    segment = support["segment"]
    assert (segment["startIndex"], segment["endIndex"]) == (begins, len(TEXT.encode()))
    assert TEXT.encode()[begins:].decode() == segment["text"]


@pytest.mark.parametrize("upstream", list(ANSWERS))
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("searching", [True, False])
def test_a_search_never_shows_as_text(client: ProtocolName, upstream: str, searching: bool) -> None:
    if (client, upstream) == ("anthropic", "anthropic"):
        pytest.skip("passes through")
    assert "Called web_search" not in json.dumps(shown(client, upstream, searching=searching))


def history(blocks: Sequence[Any]) -> Json:
    user = {"role": "user", "content": "Hi"}
    return {"model": "claude-opus-5", "messages": [user, {"role": "assistant", "content": list(blocks)}, user]}


@pytest.mark.parametrize("upstream", ["gemini", "groq", "openai-responses"])
def test_claude_never_reads_what_others_found(upstream: str) -> None:
    content = shown("anthropic", upstream)["content"]
    body = sanitize("anthropic", json.dumps(history(content)).encode(), cache_control="keep")
    assert json.loads(body)["messages"][1]["content"] == [{"type": "text", "text": TEXT}]


def test_claudes_own_searches_stay_as_they_are() -> None:
    body = json.dumps(history([*CLAUDE_BLOCKS, {"type": "text", "text": TEXT}])).encode()
    assert sanitize("anthropic", body, cache_control="keep") is body


def test_a_search_in_a_stream_for_claude_code_has_its_query_as_pieces() -> None:
    request = hello("anthropic", **TOOLS["anthropic"])
    stream = streamed(request, ANSWERS["gemini"])
    grammar_anthropic.check(stream)
    assert b'"partial_json":"{\\"query\\":\\"kiwi weight\\"}"' in stream


# Code that a vendor ran

CODE_IN_ANSWERS: dict[str, list[Event]] = {
    "anthropic": reported(
        "anthropic",
        [
            CLAUDE[0],
            *(
                event
                for index, block in enumerate(
                    [
                        {
                            "type": "server_tool_use",
                            "id": "srvtoolu_1",
                            "name": "code_execution",
                            "input": {"code": "print(6*7)"},
                        },
                        {
                            "type": "code_execution_tool_result",
                            "tool_use_id": "srvtoolu_1",
                            "content": {"type": "code_execution_result", "stdout": "42", "return_code": 0},
                        },
                    ]
                )
                for event in (
                    {"type": "content_block_start", "index": index, "content_block": block},
                    {"type": "content_block_stop", "index": index},
                )
            ),
            *CLAUDE[-2:],
        ],
    ),
    "gemini": reported(
        "gemini",
        [
            {
                "candidates": [
                    {
                        "content": {
                            "parts": [
                                {"executableCode": {"language": "PYTHON", "code": "print(6*7)"}},
                                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42"}},
                            ]
                        },
                        "finishReason": "STOP",
                    }
                ]
            }
        ],
    ),
    "openai-responses": reported(
        "openai-responses",
        [
            {
                "type": "response.completed",
                "response": {
                    "id": "r",
                    "status": "completed",
                    "output": [
                        {
                            "id": "ci_1",
                            "type": "code_interpreter_call",
                            "status": "completed",
                            "container_id": "c",
                            "code": "print(6*7)",
                            "outputs": [{"type": "logs", "logs": "42"}],
                        }
                    ],
                },
            }
        ],
    ),
}


@pytest.mark.parametrize("upstream", CODE_IN_ANSWERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_code_that_a_vendor_ran_is_shown_with_its_output(client: ProtocolName, upstream: str) -> None:
    request = hello(client)
    check(request, streamed(request, CODE_IN_ANSWERS[upstream]), complete=True)
    shown = json.dumps(whole(request, CODE_IN_ANSWERS[upstream]))
    assert "print(6*7)" in shown and "42" in shown
    assert client == upstream or "```" in shown
