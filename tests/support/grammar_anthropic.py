"""The grammar of an Anthropic event stream, and the message it tells."""

from __future__ import annotations

import json
from typing import Any

from bm import sse

DELTAS = {
    "text_delta": ("text", "text", {"text"}),
    "input_json_delta": ("input", "partial_json", {"tool_use", "server_tool_use", "mcp_tool_use"}),
    "thinking_delta": ("thinking", "thinking", {"thinking"}),
    "signature_delta": ("signature", "signature", {"thinking"}),
}
"""Of each delta: the block's member, the delta's member, the blocks it may stand in."""


class Reader:
    """Reads a stream strictly: every departure from the grammar is an assertion."""

    def __init__(self) -> None:
        self.message: dict[str, Any] | None = None
        self.error: dict[str, Any] | None = None
        self.stopped = False
        self._open: dict[str, Any] | None = None
        self._input = ""
        self._last = ""
        self._delta_seen = False

    def read(self, event: sse.Event) -> None:
        """Take one event."""
        data = json.loads(event.data)
        assert event.name == data["type"], f"event {event.name} holds {data['type']}"
        assert not self.stopped and self.error is None, f"{event.name} after the end"
        if event.name == "ping":
            assert data == {"type": "ping"}
            return
        if event.name == "error":
            assert set(data["error"]) >= {"type", "message"}
            self.error = data["error"]
            return
        if event.name == "message_start":
            assert self.message is None, "a second message_start"
            self.message = data["message"]
            assert self.message["content"] == [] and self.message["stop_reason"] is None
            assert {"id", "type", "role", "model", "usage"} <= set(self.message)
            assert {"input_tokens", "output_tokens"} <= set(self.message["usage"])
            return
        assert self.message is not None, f"{event.name} before message_start"
        getattr(self, f"_{event.name}")(data)

    def _content_block_start(self, data: dict[str, Any]) -> None:
        assert self.message is not None and not self._delta_seen
        assert self._open is None, "a block begins inside another"
        assert data["index"] == len(self.message["content"]), "an index out of order"
        block = data["content_block"]
        if block["type"] == "tool_use":
            assert block["input"] == {} and block["id"] and "name" in block
        self._open, self._input, self._last = dict(block), "", ""
        self.message["content"].append(self._open)

    def _content_block_delta(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self._open is not None, "a delta without a block"
        assert data["index"] == len(self.message["content"]) - 1, "a delta for another block"
        delta = data["delta"]
        assert self._last != "signature_delta", "something after the signature"
        self._last = delta["type"]
        if self._last == "citations_delta":
            assert self._open["type"] == "text"
            self._open.setdefault("citations", []).append(delta["citation"])
            return
        if self._last == "compaction_delta":
            self._open |= {name: value for name, value in delta.items() if name != "type"}
            return
        member, name, blocks = DELTAS[self._last]
        assert self._open["type"] in blocks, f"{self._last} in {self._open['type']}"
        if member == "input":
            self._input += delta[name]
        else:
            assert delta[name] or member == "signature", f"an empty {self._last}"
            self._open[member] = self._open.get(member, "") + delta[name]

    def _content_block_stop(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self._open is not None, "a stop without a block"
        assert data["index"] == len(self.message["content"]) - 1
        if self._open["type"] == "thinking":
            assert self._last == "signature_delta", "thinking without a signature at its end"
        if self._input:
            self._open["input"] = self._input
        self._open = None

    def _parse_inputs(self, *, cut: bool) -> None:
        """Read the tools' inputs, which may be broken off only where the answer is."""
        assert self.message is not None
        for block in self.message["content"]:
            if not isinstance(block.get("input"), str):
                continue
            try:
                block["input"] = json.loads(block["input"])
                assert isinstance(block["input"], dict), "a tool's input is no object"
            except json.JSONDecodeError:
                assert cut, "a tool's input is no JSON"

    def _message_delta(self, data: dict[str, Any]) -> None:
        assert self.message is not None and self._open is None, "message_delta inside a block"
        assert "output_tokens" in data["usage"]
        self.message |= data["delta"]
        self.message["usage"] |= data["usage"]
        self._delta_seen = True

    def _message_stop(self, data: dict[str, Any]) -> None:
        assert self._delta_seen, "message_stop without message_delta"
        assert self._open is None
        self._parse_inputs(cut=self.message is not None and self.message["stop_reason"] == "max_tokens")
        self.stopped = True


def check(stream: bytes) -> Reader:
    """Assert that the bytes are one legal stream, ended by `message_stop` or `error`; return its events."""
    parser = sse.Parser()
    reader = Reader()
    for event in [*parser.feed(stream), *parser.close()]:
        reader.read(event)
    assert reader.stopped or reader.error is not None, "the stream has no end"
    return reader
