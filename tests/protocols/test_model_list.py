"""Model lists as the official SDKs read them."""

from __future__ import annotations

import anthropic.types
import openai.types
import pytest
from google.genai import types

from bm.errors import RequestError
from bm.names import ProtocolName
from bm.protocols.model_list import ModelCard, entry, listing

KNOWN = ModelCard(id="m-1", owner="acme", title="M 1", context=200_000, max_output=8_192, created=1_700_000_000)
UNKNOWN = ModelCard(id="m-2", owner="acme")


def test_an_anthropic_list() -> None:
    reported = listing("anthropic", [KNOWN, UNKNOWN])
    assert (reported["first_id"], reported["last_id"], reported["has_more"]) == ("m-1", "m-2", False)
    read = anthropic.types.ModelInfo.model_validate(reported["data"][0])
    assert (read.id, read.display_name, read.max_input_tokens) == ("m-1", "M 1", 200_000)
    assert read.created_at.timestamp() == 1_700_000_000


@pytest.mark.parametrize("protocol", ["openai-chat", "openai-responses"])
def test_an_openai_list(protocol: str) -> None:
    reported = listing("openai-chat" if protocol == "openai-chat" else "openai-responses", [KNOWN])
    assert reported["object"] == "list"
    read = openai.types.Model.model_validate(reported["data"][0])
    assert (read.id, read.owned_by, read.created) == ("m-1", "acme", 1_700_000_000)


def test_codex_finds_its_own_kind_of_list_without_entries() -> None:
    page = listing("openai-chat", [KNOWN], "client_version=0.156.0")
    assert page["models"] == [] and len(page["data"]) == 1


def test_a_gemini_list() -> None:
    reported = listing("gemini", [KNOWN])["models"][0]
    assert "generateContent" in reported.pop("supportedGenerationMethods")
    read = types.Model.model_validate(reported)
    assert (read.name, read.display_name, read.input_token_limit) == ("models/m-1", "M 1", 200_000)


def test_limits_that_are_not_known_are_left_out() -> None:
    assert not {"max_input_tokens", "max_tokens"} & entry("anthropic", UNKNOWN).keys()
    assert not {"inputTokenLimit", "outputTokenLimit"} & entry("gemini", UNKNOWN).keys()
    assert not {"context_window", "max_completion_tokens"} & entry("openai-chat", UNKNOWN).keys()


def test_an_empty_list_has_no_first_and_no_last() -> None:
    reported = listing("anthropic", [])
    assert (reported["data"], reported["first_id"], reported["last_id"]) == ([], None, None)


CARDS = [ModelCard(id=name, owner="acme") for name in "abcde"]


@pytest.mark.parametrize(
    ("query", "ids", "more"),
    [
        ("", "abcde", False),
        ("limit=1000", "abcde", False),
        ("limit=2", "ab", True),
        ("limit=2&after_id=b", "cd", True),
        ("limit=2&after_id=c", "de", False),
        ("limit=2&before_id=d", "bc", True),
        ("limit=5&before_id=d", "abc", False),
        ("after_id=unknown&beta=true", "abcde", False),
    ],
)
def test_an_anthropic_page(query: str, ids: str, more: bool) -> None:
    reported = listing("anthropic", CARDS, query)
    assert ("".join(row["id"] for row in reported["data"]), reported["has_more"]) == (ids, more)
    assert (reported["first_id"], reported["last_id"]) == (ids[0], ids[-1])


def test_geminis_pages_lead_to_the_end() -> None:
    query, found = "pageSize=2", ""
    while query:
        reported = listing("gemini", CARDS, query)
        found += "".join(row["name"].removeprefix("models/") for row in reported["models"])
        query = f"pageSize=2&pageToken={reported['nextPageToken']}" if "nextPageToken" in reported else ""
    assert found == "abcde"


@pytest.mark.parametrize(("protocol", "query"), [("anthropic", "limit=many"), ("gemini", "pageToken=-1")])
def test_a_page_that_cannot_be_is_refused(protocol: ProtocolName, query: str) -> None:
    with pytest.raises(RequestError, match="expected a whole number"):
        listing(protocol, CARDS, query)
