"""How much Gemini is asked to think."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Text, Thinking
from bm.chat.request import ChatRequest, Reasoning, Turn
from bm.chat.signature import Signature, wrap
from bm.protocols.gemini.codec import CODEC
from bm.protocols.gemini.thinking import DUMMY, decode_signature, encode_signature
from tests.protocols.gemini.kit import S1, read

PRO_3 = Capabilities(thinking="level", levels=("low", "high"), thinking_off="never")
FLASH_3 = Capabilities(thinking="level", levels=("minimal", "low", "medium", "high"), thinking_off="never")
PRO_25 = Capabilities(thinking="budget", budget=(128, 32768), thinking_off="never")
FLASH_25 = Capabilities(thinking="budget", budget=(0, 24576), thinking_off="say")
NONE = Capabilities()

ROWS: list[tuple[str, Capabilities, Reasoning, int | None, Any]] = [
    ("unsaid", PRO_3, Reasoning(), None, None),
    ("automatic", PRO_3, Reasoning("auto"), None, None),
    ("automatic and shown", PRO_3, Reasoning("auto", visible=True), None, {"includeThoughts": True}),
    ("automatic and hidden", PRO_3, Reasoning("auto", visible=False), None, None),
    ("a level", PRO_3, Reasoning("high", visible=False), None, {"thinkingLevel": "HIGH", "includeThoughts": False}),
    ("a level above", PRO_3, Reasoning("max"), None, {"thinkingLevel": "HIGH"}),
    ("a level below", PRO_3, Reasoning("minimal"), None, {"thinkingLevel": "LOW"}),
    ("off, pro", PRO_3, Reasoning("off"), None, {"thinkingLevel": "LOW", "includeThoughts": False}),
    (
        "off, flash",
        FLASH_3,
        Reasoning("off", visible=True),
        None,
        {"thinkingLevel": "MINIMAL", "includeThoughts": False},
    ),
    ("a budget as a level", FLASH_3, Reasoning(budget=8000), None, {"thinkingLevel": "MEDIUM"}),
    ("a budget", PRO_25, Reasoning(budget=5000), None, {"thinkingBudget": 5000}),
    ("a budget too small", PRO_25, Reasoning(budget=5), None, {"thinkingBudget": 128}),
    ("a budget too large", FLASH_25, Reasoning(budget=31999), 64000, {"thinkingBudget": 24576}),
    ("a budget above the limit", PRO_25, Reasoning(budget=32000), 16000, {"thinkingBudget": 12000}),
    ("a budget above a small limit", PRO_25, Reasoning(budget=32000), 1100, {"thinkingBudget": 128}),
    ("a level as a budget", PRO_25, Reasoning("low"), None, {"thinkingBudget": 1024}),
    ("automatic budget", PRO_25, Reasoning("auto"), None, {"thinkingBudget": -1}),
    ("off, 2.5 pro", PRO_25, Reasoning("off"), None, {"thinkingBudget": 128, "includeThoughts": False}),
    ("off, 2.5 flash", FLASH_25, Reasoning("off"), None, {"thinkingBudget": 0, "includeThoughts": False}),
    ("a small answer, 3", FLASH_3, Reasoning(), 64, {"thinkingLevel": "MINIMAL", "includeThoughts": False}),
    ("a small answer, 2.5", FLASH_25, Reasoning(), 64, {"thinkingBudget": 0, "includeThoughts": False}),
    ("a small answer, thinking asked for", FLASH_3, Reasoning("high"), 64, {"thinkingLevel": "HIGH"}),
    ("an answer of some size", FLASH_3, Reasoning(), 1024, None),
    ("no thinking model", NONE, Reasoning("off"), 64, None),
]


@pytest.mark.parametrize(
    ("capabilities", "reasoning", "limit", "config"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_thinking_config(capabilities: Capabilities, reasoning: Reasoning, limit: int | None, config: Any) -> None:
    turns = (Turn("user", (Text("hi"),)),)
    request = ChatRequest(protocol="openai-chat", model="m", turns=turns, reasoning=reasoning, max_tokens=limit)
    result = CODEC.encode_request(request, capabilities, model="m")
    assert result.body.get("generationConfig", {}).get("thinkingConfig") == config
    assert result.losses == ()


def test_thinking_that_a_model_does_not_have_is_a_loss() -> None:
    turns = (Turn("user", (Text("hi"),)),)
    request = ChatRequest(protocol="openai-chat", model="m", turns=turns, reasoning=Reasoning("high"))
    assert [loss.field for loss in CODEC.encode_request(request, NONE, model="m").losses] == ["reasoning_effort"]


@pytest.mark.parametrize("dummy", ["skip_thought_signature_validator", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="])
def test_the_dummy_is_no_signature(dummy: str) -> None:
    part = read(contents=[{"role": "model", "parts": [{"text": "a", "thoughtSignature": dummy}]}]).turns[0].parts[0]
    assert part == Text("a")


def test_another_vendors_signature_is_unwrapped_in_either_alphabet() -> None:
    claude = Signature("anthropic", "E>>???")
    for spelled in (wrap(claude), wrap(claude).replace("+", "-").replace("/", "_")):
        part = {"text": "hm", "thought": True, "thoughtSignature": spelled}
        assert read(contents=[{"role": "model", "parts": [part]}]).turns[0].parts == (Thinking("hm", claude),)


def test_the_dummy_is_base64_of_googles_word() -> None:
    assert base64.b64decode(DUMMY) == b"skip_thought_signature_validator"


@pytest.mark.parametrize("value", [None, "", 7, {}])
def test_what_is_no_signature(value: Any) -> None:
    assert decode_signature(value) is None


def test_a_client_gets_base64_for_every_vendors_signature() -> None:
    assert encode_signature(S1) == S1.value
    wrapped = encode_signature(Signature("anthropic", "not base64!"))
    base64.b64decode(wrapped, validate=True)
    assert decode_signature(wrapped) == Signature("anthropic", "not base64!")
