"""The grammar of a Responses stream, as the API reference and the official SDK's accumulator have it.

created in_progress ( added content* done )* ( completed | incomplete | failed ), or `error` alone; numbers rise from 0
by one, one item is open at a time, and every `.done` repeats what its deltas said.
"""

from __future__ import annotations

import json
import re
from typing import Any

Json = dict[str, Any]

_TERMINAL = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
_BLOCK = re.compile(rb"event: ([a-z_.]+)\ndata: (.+)\Z")


def events(raw: bytes) -> list[Json]:
    """The events of a stream, each framed exactly as OpenAI frames them; comments are left out."""
    assert not raw or raw.endswith(b"\n\n"), "the stream ends inside an event"
    found: list[Json] = []
    for block in raw.split(b"\n\n")[:-1]:
        if block.startswith(b":"):
            continue
        match = _BLOCK.fullmatch(block)
        assert match is not None, f"not an event: {block!r}"
        body = json.loads(match[2])
        assert body["type"] == match[1].decode(), f"named {match[1]!r}, is {body['type']}"
        found.append(body)
    return found


def check(raw: bytes) -> Json:
    """Assert that the bytes are one complete stream; return the terminal event."""
    stream = events(raw)
    assert stream, "no event at all"
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    if stream[0]["type"] == "error":
        assert len(stream) == 1 and stream[0]["message"], "something beside the error"
        return stream[0]
    assert [event["type"] for event in stream[:2]] == ["response.created", "response.in_progress"]
    assert stream[0]["response"]["output"] == [] and stream[0]["response"]["status"] == "in_progress"
    last = stream[-1]
    assert last["type"] in _TERMINAL, f"ends in {last['type']}"
    assert last["response"]["status"] == _TERMINAL[last["type"]]
    assert last["response"]["id"] == stream[0]["response"]["id"]
    output: list[Json] = []
    at = 2
    while at < len(stream) - 1:
        at = _item(stream, at, output, cut=last["type"] == "response.failed")
    assert last["response"]["output"] == output
    assert (last["response"]["error"] is None) == (last["type"] != "response.failed")
    assert (last["response"]["incomplete_details"] is None) == (last["type"] != "response.incomplete")
    ids = [item["id"] for item in output]
    assert len(set(ids)) == len(ids), "an item id twice"
    return last


def _item(stream: list[Json], at: int, output: list[Json], *, cut: bool) -> int:
    """Check one item from its `added` on; return where the next one begins."""
    added = stream[at]
    assert added["type"] == "response.output_item.added", f"{added['type']} outside of an item"
    assert added["output_index"] == len(output)
    inside: list[Json] = []
    for event in stream[at + 1 : -1]:
        at += 1
        assert event["output_index"] == len(output), f"{event} is not of the open item"
        if event["type"] == "response.output_item.done":
            item = event["item"]
            assert item["id"] == added["item"]["id"] and item["type"] == added["item"]["type"]
            _content(item, inside)
            output.append(item)
            return at + 1
        assert event["item_id"] == added["item"]["id"]
        inside.append(event)
    assert cut, "an item is not done"
    return at + 1


def _content(item: Json, inside: list[Json]) -> None:
    """Check that what came piece by piece is what the item holds."""
    names = [event["type"].removeprefix("response.") for event in inside]
    match item:
        case {"type": "message", "content": [{"type": "output_text", "text": text, "annotations": notes}]}:
            _bracketed(names, "content_part", "output_text", {"output_text.annotation.added"})
            assert [event["annotation"] for event in inside if "annotation" in event] == notes
            _adds_up(inside, "text", text)
            assert inside[0]["part"] == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            assert inside[-1]["part"] == item["content"][0]
        case {"type": "message", "content": [{"type": "refusal", "refusal": text}]}:
            _bracketed(names, "content_part", "refusal", set())
            _adds_up(inside, "refusal", text)
        case {"type": "reasoning", "summary": [{"text": text}]}:
            _bracketed(names, "reasoning_summary_part", "reasoning_summary_text", set())
            _adds_up(inside, "text", text)
        case {"type": "reasoning"}:
            assert item["summary"] == [] and names == []
            assert item["encrypted_content"], "a reasoning item that holds nothing"
        case {"type": "function_call", "arguments": text}:
            _closed(names, "function_call_arguments")
            _adds_up(inside, "arguments", text)
        case {"type": "custom_tool_call", "input": text}:
            _closed(names, "custom_tool_call_input")
            _adds_up(inside, "input", text)
        case _:
            assert names == [], f"{item['type']} with {names}"


def _bracketed(names: list[str], part: str, text: str, also: set[str]) -> None:
    assert names[0] == f"{part}.added" and names[-1] == f"{part}.done", names
    _closed(names[1:-1], text, also)


def _closed(names: list[str], text: str, also: set[str] | None = None) -> None:
    assert names[-1] == f"{text}.done", names
    assert set(names[:-1]) <= {f"{text}.delta"} | (also or set()), names


def _adds_up(inside: list[Json], field: str, text: str) -> None:
    assert "".join(event.get("delta", "") for event in inside) == text
    assert next(event for event in inside if event["type"].endswith((f"{field}.done", "text.done", "input.done"))
                or event["type"].endswith(("arguments.done", "refusal.done")))[field] == text  # fmt: skip
