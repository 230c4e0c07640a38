"""Vertex AI: where it is, what it is called with, and how its list of models reads."""

from __future__ import annotations

from typing import Any

import pytest

from bm.accounts.account import Access
from bm.config.schema import Config, Gemini, Timeouts, UpstreamProxy
from bm.dispatch.target import Target
from bm.providers.provider import Provider, effective
from bm.simulator import Simulator
from bm.upstream.client import UpstreamClient
from bm.upstream.discovery import list_models
from bm.upstream.endpoint import credentials, models_url, offers, url

PLACE = "/v1beta1/projects/p-1/locations"


def provider(**settings: Any) -> Provider:
    return effective(Config(gemini=Gemini(**settings)))[0]


def access(location: str = "global") -> Access:
    return Access(key="token", bearer=True, project="p-1", location=location)


def address(location: str, model: str = "m", operation: Any = "generate", **options: Any) -> str:
    target = Target("gemini", "a", model, "gemini")
    return url(provider(), target, operation, access(location), **{"stream": False} | options)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (address("global"), f"https://aiplatform.googleapis.com{PLACE}/global"),
        (address("us"), f"https://aiplatform.us.rep.googleapis.com{PLACE}/us"),
        (address("eu"), f"https://aiplatform.eu.rep.googleapis.com{PLACE}/eu"),
        (address("europe-west4"), f"https://europe-west4-aiplatform.googleapis.com{PLACE}/europe-west4"),
    ],
)
def test_each_kind_of_location(found: str, expected: str) -> None:
    assert found == f"{expected}/publishers/google/models/m:generateContent"


@pytest.mark.parametrize(
    ("found", "end"),
    [
        (address("us", stream=True, query="alt=sse"), "/publishers/google/models/m:streamGenerateContent?alt=sse"),
        (address("us", operation="count_tokens", stream=True), "/publishers/google/models/m:countTokens"),
        (address("us", "endpoints/123"), "/locations/us/endpoints/123:generateContent"),
        (address("us", "publishers/google/models/x"), "/locations/us/publishers/google/models/x:generateContent"),
    ],
)
def test_each_operation_and_tuned_models(found: str, end: str) -> None:
    assert found.endswith(end)


@pytest.mark.parametrize(
    ("client", "called"), [("", "v1beta1"), ("v1beta", "v1beta1"), ("v1alpha", "v1beta1"), ("v1", "v1")]
)
def test_the_gemini_apis_versions_become_its_own(client: str, called: str) -> None:
    assert f".com/{called}/projects/" in address("global", version=client)


def test_another_address_for_all_locations() -> None:
    own = provider(vertex_base_url="https://vertex.example/")
    found = url(own, Target("gemini", "a", "m", "gemini"), "generate", access("us"), stream=False)
    assert found.startswith(f"https://vertex.example{PLACE}/us/")
    assert models_url(own, access("us")) == "https://vertex.example/v1beta1/publishers/google/models"


def test_a_token_is_a_bearers_and_names_who_pays_only_for_people() -> None:
    assert credentials(provider(), access()) == [("authorization", "Bearer token")]
    billed = Access(key="token", bearer=True, billed="p-2")
    assert credentials(provider(), billed) == [("authorization", "Bearer token"), ("x-goog-user-project", "p-2")]


def test_it_embeds_one_text_at_a_time() -> None:
    assert offers("gemini", "embed", access())
    assert not offers("gemini", "batch_embed", access())
    assert offers("gemini", "batch_embed", Access(key="k"))


async def test_its_list_of_models() -> None:
    client = UpstreamClient()
    with Simulator() as sim:
        own = provider(vertex_base_url=sim.url)
        found = await list_models(client, own, access(), Timeouts(), UpstreamProxy())
    await client.close()
    assert "gemini-2.5-pro" in {model.id for model in found}
    assert all(model.generates for model in found)
