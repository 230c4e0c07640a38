"""The grammar of a Chat Completions stream, as OpenAI's own servers keep it."""

from __future__ import annotations

import json
from typing import Any

FINISHES = {"stop", "length", "tool_calls", "content_filter", "function_call"}


def payloads(raw: bytes) -> list[str]:
    """The payloads of the stream, comments left out; anything but `data:` lines and comments is a fault."""
    assert raw == b"" or raw.endswith(b"\n\n"), "the stream ends inside an event"
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        if block.startswith(":"):
            assert "\n" not in block, "a comment and data in one event"
            continue
        assert block.startswith("data: ") and "\n" not in block, f"no plain data event: {block!r}"
        found.append(block.removeprefix("data: "))
    return found


def check_stream(raw: bytes, *, usage: bool = False, sparing: bool = False) -> None:
    """Assert that `raw` is one legal stream. `usage` says whether the client asked for it.

    `sparing` services leave the member out where there is none to tell.
    """
    found = payloads(raw)
    assert found, "an empty stream"
    last = found.pop()
    assert "[DONE]" not in found, "data after [DONE]"
    chunks = [json.loads(text) for text in found]
    assert not any("error" in chunk for chunk in chunks), "data after an error"
    failed = last != "[DONE]"
    if failed:
        error = json.loads(last)
        assert set(error) == {"error"} and isinstance(error["error"]["message"], str), f"no end and no error: {last}"
    if sparing:
        chunks = [{"usage": None, **chunk} for chunk in chunks]
    _check_heads(chunks)
    _check_usage(chunks, usage)
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            choices.setdefault(choice["index"], _Choice()).see(choice)
    if not failed:
        assert choices, "no choice at all"
        assert all(choice.finish for choice in choices.values()), "a choice without a finish reason"


def _check_heads(chunks: list[Any]) -> None:
    heads = {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in chunks}
    assert len(heads) <= 1, f"id, created or model change: {heads}"
    assert all(head[1] == "chat.completion.chunk" for head in heads)


def _check_usage(chunks: list[Any], asked: bool) -> None:
    if not asked:
        assert not any("usage" in chunk for chunk in chunks), "usage that was not requested"
        assert all(chunk["choices"] for chunk in chunks), "a chunk without choices"
        return
    assert all("usage" in chunk for chunk in chunks), "a chunk without the usage member"
    for number, chunk in enumerate(chunks):
        if chunk["usage"] is None:
            assert chunk["choices"], "a chunk with neither choices nor usage"
        else:
            assert chunk["choices"] == [] and number == len(chunks) - 1, "usage stands alone, in the last chunk"
            total = chunk["usage"]["prompt_tokens"] + chunk["usage"]["completion_tokens"]
            assert chunk["usage"]["total_tokens"] == total


class _Choice:
    """Follows one choice."""

    def __init__(self) -> None:
        self.begun = False
        self.finish: str | None = None
        self.calls = 0

    def see(self, choice: Any) -> None:
        assert self.finish is None, "a delta after the finish reason"
        delta = choice["delta"]
        assert ("role" in delta) == (not self.begun), "the role stands in the first delta and nowhere else"
        self.begun = True
        for call in delta.get("tool_calls", ()):
            self._call(call)
        self.finish = choice["finish_reason"]
        assert self.finish is None or self.finish in FINISHES, f"no finish reason: {self.finish}"
        if self.finish in ("tool_calls", "stop"):
            assert (self.finish == "tool_calls") == bool(self.calls), "the finish reason denies the calls"

    def _call(self, call: Any) -> None:
        index = call["index"]
        assert 0 <= index <= self.calls, f"call {index} after {self.calls} calls"
        owner = call.get("function") or call.get("custom") or {}
        if index == self.calls:
            assert call["id"] and call["type"] in ("function", "custom") and owner["name"], f"no beginning: {call}"
            self.calls += 1
        else:
            assert not {"id", "type"} & set(call) and "name" not in owner, f"begun twice: {call}"
