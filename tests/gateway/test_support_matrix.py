"""The support matrix of docs/protocols.md, compared with what the adapter does."""

from __future__ import annotations

import json

import pytest

from bm.accounts.account import Access
from bm.dispatch.failover import Attempt
from bm.dispatch.target import Target
from bm.gateway.adapter import Adapter, Unable
from bm.gateway.call import Call
from bm.gateway.settings import Rules
from bm.gateway.stores import SignatureStore
from bm.names import ProtocolName
from tests.gateway.features import FEATURES
from tests.gateway.matrix import providers
from tests.rules.source import ROOT

TARGETS = {
    "anthropic": Target("anthropic", "one", "claude-sonnet-4-5", "anthropic"),
    "openai-chat": Target("openai", "one", "gpt-4.1", "openai-chat"),
    "openai-responses": Target("openai", "one", "gpt-4.1", "openai-responses"),
    "gemini": Target("gemini", "one", "gemini-2.5-flash", "gemini"),
}
"""A capable model of each; those that also think or not would differ in `thinking` alone."""


COLUMNS: tuple[ProtocolName, ...] = ("anthropic", "openai-chat", "openai-responses", "gemini")
WORDS = {"exact": "carried", "approximated": "carried", "ignored": "carried"}
"""The table distinguishes what the program treats alike, without a loss."""


def outcome(feature: str, protocol: ProtocolName) -> str:
    """What happens to a feature on the way to an upstream: native (passes through), carried, dropped or refused."""
    client, body = FEATURES[feature]
    if client == protocol:
        return "native"
    call = Call(
        id="req_1",
        protocol=client,
        operation="generate",
        headers=[],
        body=json.dumps(body).encode(),
        model="m",
        stream=False,
    )
    target = TARGETS[protocol]
    try:
        adapter = Adapter(call, SignatureStore(), Rules())
        upstream = adapter.prepare(Attempt(target=target), providers()[target.provider], Access(key="key"))
    except Unable:
        return "refused"
    return "dropped" if upstream.losses else "carried"


def table() -> dict[str, list[str]]:
    """The cells of the matrix by feature."""
    text = (ROOT / "docs" / "protocols.md").read_text(encoding="utf-8")
    lines = text.partition("## What crosses")[2].partition("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row[2:] for row in rows[2:]}


def test_the_matrix_lists_every_feature_and_no_other() -> None:
    assert table().keys() == FEATURES.keys()


@pytest.mark.parametrize("feature", FEATURES)
def test_the_matrix_is_true(feature: str) -> None:
    said = [cell.partition(":")[0] for cell in table()[feature]]
    assert [WORDS.get(word, word) for word in said] == [outcome(feature, protocol) for protocol in COLUMNS]
