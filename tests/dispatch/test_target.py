from __future__ import annotations

from bm.dispatch.target import Target

TARGET = Target("groq", "key", "llama-3.3-70b-versatile", "openai-chat")


def test_a_target_reads_as_a_person_would_say_it() -> None:
    assert str(TARGET) == "groq/key llama-3.3-70b-versatile"


def test_a_seat_is_what_a_key_belongs_to() -> None:
    assert TARGET.account_id == ("groq", "key")
