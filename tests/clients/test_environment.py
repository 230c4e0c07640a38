"""Where tools are sent, and with which key."""

from __future__ import annotations

from bm.clients.environment import UNSET, VARIABLES, values


def test_each_tool_gets_the_address_in_its_own_form() -> None:
    found = values("http://127.0.0.1:8094", "bm-key")
    assert found["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8094"
    assert found["ANTHROPIC_AUTH_TOKEN"] == "bm-key"
    assert found["OPENAI_BASE_URL"] == "http://127.0.0.1:8094/v1"
    assert found["OPENAI_API_KEY"] == "bm-key"
    assert found["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:8094"
    assert found["GEMINI_API_KEY"] == "bm-key"
    assert found["GROQ_BASE_URL"] == "http://127.0.0.1:8094"


def test_nothing_is_both_set_and_unset() -> None:
    assert len({row.name for row in VARIABLES}) == len(VARIABLES)
    assert not {row.name for row in VARIABLES} & set(UNSET)
