"""Items of OpenAI's own in words."""

from __future__ import annotations

from typing import Any

import pytest

from bm.protocols.compaction import compaction_item
from bm.protocols.openai_responses.summaries import of_vendor

TASK = {"type": "input_text", "text": "Say banana."}
SECRET = {"type": "encrypted_content", "encrypted_content": "gAAAA"}
FROM = {"author": "/lead", "recipient": "/lead/child"}


@pytest.mark.parametrize(
    ("kind", "item", "summary"),
    [
        ("agent_message", {**FROM, "content": [TASK]}, "Message from /lead to /lead/child:\n\nSay banana."),
        ("agent_message", {"content": [TASK]}, "Message from an agent to you:\n\nSay banana."),
        ("agent_message", {"content": []}, ""),
        ("code_interpreter_call", {"code": "1", "outputs": [{"logs": "2"}]}, "```\n1\n```\n```\n2\n```"),
        ("file_search_call", {"results": [{"filename": "a", "text": "b"}]}, "Found in files:\n\na:\nb"),
        ("file_search_call", {"results": None}, ""),
        ("mcp_call", {"server_label": "s", "name": "n", "arguments": "{}", "output": "o"}, "Called s.n with {}:\no"),
        ("mcp_call", {"server_label": "s", "name": "n", "error": {"code": 1}}, 'Called s.n with :\nError: {"code":1}'),
        ("mcp_approval_request", {"server_label": "s", "name": "n", "arguments": "{}"}, "May s.n be called with {}?"),
        ("mcp_approval_response", {"approve": False, "reason": "No."}, "The call is refused. No."),
        ("program", {"code": "1"}, "```\n1\n```"),
        ("program_output", {"result": "2"}, "2"),
        ("mcp_list_tools", {"tools": []}, ""),
        ("new_item", {"text": "a"}, ""),
    ],
)
def test_what_an_item_says_in_words(kind: str, item: dict[str, Any], summary: str) -> None:
    part = of_vendor(kind, item)
    assert (part.summary, part.raw, part.lost) == (summary, item, "")


def test_what_is_encrypted_is_named_as_lost() -> None:
    part = of_vendor("agent_message", {**FROM, "content": [TASK, SECRET]})
    assert "Say banana." in part.summary and "gAAAA" not in part.summary and part.lost
    alone = of_vendor("agent_message", {**FROM, "content": [SECRET]})
    assert "encrypted" in alone.summary and alone.lost
    assert of_vendor("compaction", {"encrypted_content": "gAAAA"}).lost


def test_a_summary_of_bms_is_not_lost() -> None:
    part = of_vendor("compaction", compaction_item("We went.", "cmp_1"))
    assert part.summary.endswith("We went.") and not part.lost
