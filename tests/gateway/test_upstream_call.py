from __future__ import annotations

import pytest

from bm.dispatch.target import Target
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.embeddings import EmbedRequest, decode_request
from bm.protocols.registry import CODECS
from bm.remedies.remedy import Remedy
from bm.upstream.client import UpstreamRequest

EMBEDDING = decode_request("openai-chat", {"model": "m", "input": "hello"})


@pytest.mark.parametrize(
    ("names", "embedding", "passes"), [(None, None, True), ({}, None, False), (None, EMBEDDING, False)]
)
def test_bytes_pass_through_where_nothing_is_translated(
    names: dict[str, str] | None, embedding: EmbedRequest | None, passes: bool
) -> None:
    request = UpstreamRequest("gemini", "POST", "https://example.com", [])
    target = Target("gemini", "one", "gemini-3-flash-preview", "gemini")
    assert UpstreamCall(target, request, CODECS["gemini"], (), names, embedding).passes_through is passes


REQUEST = UpstreamRequest("groq", "POST", "https://example.com", [], b'{"seed":1,"max_tokens":2}')
CALL = UpstreamCall(Target("groq", "one", "m", "openai-chat"), REQUEST, CODECS["openai-chat"], names={})
REMEDIES = (Remedy("drop", "seed"), Remedy("rename", "max_tokens", ("max_completion_tokens",)), Remedy("drop", "store"))


def test_remedies_change_the_request_and_report_losses_by_the_clients_names() -> None:
    changed = CALL.changed(REMEDIES, "gemini", strict=False)
    assert changed.request.body == b'{"max_completion_tokens":2}'
    assert ([loss.field for loss in changed.losses], changed.remedies) == (["generationConfig.seed"], REMEDIES[:2])
    assert CALL.changed((), "gemini", strict=False) is CALL


def test_in_strict_mode_nothing_is_lost() -> None:
    assert CALL.changed(REMEDIES, "gemini", strict=True).request.body == b'{"seed":1,"max_completion_tokens":2}'
