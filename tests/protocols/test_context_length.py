"""What a refusal for its length says of the lengths."""

from __future__ import annotations

import pytest

from bm.protocols.context_length import context_in_text


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ("prompt is too long: 250000 tokens > 200000 maximum", 200_000),
        ("The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).", 1_048_576),
        ("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.", 8192),
        ("maximum context length is 128,000 tokens", 128_000),
        ("the request exceeds the available context size (4096 tokens)", 4096),
        ("Input length 300000 exceeds the maximum length 262144.", 262_144),
        ("prompt is too long", None),
        ("the maximum context length is 1", None),
    ],
)
def test_a_refusal_tells_how_many_tokens_a_model_takes(message: str, tokens: int | None) -> None:
    assert context_in_text(message) == tokens
