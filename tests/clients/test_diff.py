"""Changes are shown, and no secret with them."""

from __future__ import annotations

import pytest

from bm.clients.diff import difference, masked
from bm.config.redaction import Mask

BEFORE = '{\n  "theme": "dark",\n  "a": 1,\n  "b": 2,\n  "env": {"MY_API_KEY": "a-secret-of-mine"}\n}\n'
AFTER = BEFORE.replace("a-secret-of-mine", "bm-key").replace('"b": 2', '"b": 3')


def test_the_lines_that_change_and_their_neighbours() -> None:
    assert difference("~/x.json", BEFORE, AFTER, ("bm-key-of-the-tests",)).splitlines() == [
        "--- ~/x.json",
        "+++ ~/x.json",
        "@@ -2,5 +2,5 @@",
        '   "theme": "dark",',
        '   "a": 1,',
        '-  "b": 2,',
        '-  "env": {"MY_API_KEY": "[secret]"}',
        '+  "b": 3,',
        '+  "env": {"MY_API_KEY": "[secret]"}',
        " }",
    ]


def test_files_that_come_and_go() -> None:
    assert difference("x", None, "a\n", ()) == "--- (no file)\n+++ x\n@@ -0,0 +1 @@\n+a"
    assert difference("x", "a\n", None, ()) == "--- x\n+++ (no file)\n@@ -1 +0,0 @@\n-a"
    assert difference("x", "a\n", "a\n", ()) == ""


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("openai-api-key: mine # note", "openai-api-key: [secret] # note"),
        ("export GEMINI_API_KEY='mine'", "export GEMINI_API_KEY='[secret]'"),
        ('experimental_bearer_token = "mi\\"ne"', 'experimental_bearer_token = "[secret]"'),
        ('set-env: ["A=known-secret", "B_TOKEN=mine", "C=1"]', 'set-env: ["A=[secret]", "B_TOKEN=[secret]", "C=1"]'),
        ('"apiKey":"mine","x":1', '"apiKey":"[secret]","x":1'),
        ('url = "http://me:mine@host/v1"', 'url = "http://[secret]@host/v1"'),
        ('"keybindings": {', '"keybindings": {'),
        ("  api_key_name: bm", "  api_key_name: bm"),
        ('"url": "http://127.0.0.1:8094"', '"url": "http://127.0.0.1:8094"'),
    ],
)
def test_what_is_masked(line: str, shown: str) -> None:
    assert masked(line, Mask(["known-secret"])) == shown
