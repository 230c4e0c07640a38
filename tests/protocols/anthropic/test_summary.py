from __future__ import annotations

from typing import Any

import pytest

from bm.protocols.anthropic.summary import summary


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "tool_reference", "tool_name": "Bash"}, "The tool Bash is available."),
        (
            {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "run"}},
            "The tool run is now available.",
        ),
        (
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "kiwi"}},
            'Called web_search with {"query":"kiwi"}',
        ),
        (
            {
                "type": "web_search_tool_result",
                "tool_use_id": "s1",
                "content": [
                    {"type": "web_search_result", "title": "A", "url": "https://a", "encrypted_content": "zz"},
                    {"type": "web_search_result", "title": "B", "url": "https://b"},
                ],
            },
            "A https://a\nB https://b",
        ),
        (
            {
                "type": "web_search_tool_result",
                "content": {"type": "web_search_tool_result_error", "error_code": "max"},
            },
            "Error: max",
        ),
        (
            {
                "type": "bash_code_execution_tool_result",
                "content": {"type": "bash_code_execution_result", "stdout": "1\n", "stderr": "", "return_code": 0},
            },
            "```\n1\n```",
        ),
        (
            {
                "type": "web_fetch_tool_result",
                "content": {
                    "type": "web_fetch_result",
                    "url": "https://a",
                    "content": {"type": "document", "title": "A", "source": {"type": "text", "data": "body"}},
                },
            },
            "https://a\nA\nbody",
        ),
        (
            {
                "type": "tool_search_tool_result",
                "content": {"tool_references": [{"type": "tool_reference", "tool_name": "run"}]},
            },
            "run",
        ),
        (
            {
                "type": "document",
                "title": "T",
                "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
            },
            "T\nx",
        ),
        ({"type": "compaction", "content": "so far"}, "so far"),
        ({"type": "container_upload", "file_id": "file_1"}, ""),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_block_says_in_words(block: dict[str, Any], words: str) -> None:
    assert summary(block) == words
