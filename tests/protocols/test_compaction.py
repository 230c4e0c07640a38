"""Compaction by a summary."""

from __future__ import annotations

from typing import Any

from bm.chat.events import Event
from bm.chat.request import ToolChoice
from bm.protocols.compaction import (
    asks_to_compact,
    compacted,
    compaction_item,
    readable,
    summary_in,
    triggered,
)
from bm.protocols.openai_responses.codec import CODEC
from tests.protocols.openai_responses.samples import answer, call_part, encoded, ids, request, text_part

HI = {"type": "message", "role": "user", "content": "Hi"}
ASKED = {"input": [HI, {"type": "compaction_trigger"}], "tools": [{"type": "function", "name": "look"}]}


def response(*events: Event, **members: Any) -> dict[str, Any]:
    whole: dict[str, Any] = CODEC.encode_response(events, request(**{**ASKED, **members}), ids(), model="m")
    return whole


def test_a_request_for_compaction_asks_the_model_for_a_summary() -> None:
    asked = request(**ASKED, tool_choice="required", text={"format": {"type": "json_object"}})
    assert asks_to_compact(asked) and not asks_to_compact(request(input=[HI]))
    assert (asked.tool_choice, asked.output.kind) == (ToolChoice("none"), "text")


def test_the_summary_is_the_one_item_of_the_answer() -> None:
    whole = response(*answer(text_part(0, "We "), call_part(1, "look", "{}"), text_part(2, "went.")))
    [item] = whole["output"]
    assert (item["type"], whole["status"]) == ("compaction", "completed")
    assert summary_in(item).endswith("\n\nWe went.")


def test_without_a_summary_the_compaction_has_failed() -> None:
    assert response(*answer(call_part(0, "look", "{}")))["status"] == "failed"
    assert b"response.failed" in encoded(answer(), request(**ASKED))


def test_a_summary_of_bms_is_a_message_to_every_service() -> None:
    item = compaction_item("We went.", "cmp_1")
    [turn] = request(input=[item]).turns
    assert (turn.role, readable(item)["role"]) == ("user", "user")
    assert readable(item)["content"][0]["text"] == summary_in(item) != ""


def test_a_vendors_own_summary_stays_as_it_is() -> None:
    item = {"type": "compaction", "encrypted_content": "gAAAA"}
    assert (summary_in(item), readable(item), readable(HI)) == ("", item, HI)


def test_a_compacted_conversation_is_the_users_messages_and_the_summary() -> None:
    items = [HI, {"role": "assistant", "content": "Yes"}]
    body: dict[str, Any] = {"input": items, "stream": True}
    assert triggered(body) == {"input": [*items, {"type": "compaction_trigger"}], "stream": False}
    whole = compacted(response(*answer(text_part(0, "We went."))), body)
    assert whole["object"] == "response.compaction" and whole["usage"] is None
    assert [item["type"] for item in whole["output"]] == ["message", "compaction"]
    assert whole["output"][0]["content"] == [{"type": "input_text", "text": "Hi"}]
    assert triggered({"input": "Hi"})["input"][0] == HI
