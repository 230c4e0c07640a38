from __future__ import annotations

from bm.dispatch.target import Target

TARGET = Target("groq", "key", "llama-3.3-70b-versatile", "openai-chat")


def test_the_text_form() -> None:
    assert str(TARGET) == "groq/key llama-3.3-70b-versatile"


def test_the_account_id() -> None:
    assert TARGET.account_id == ("groq", "key")
