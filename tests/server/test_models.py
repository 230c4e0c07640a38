"""The models over HTTP: what to type, price, capabilities, retirement."""

from __future__ import annotations

from datetime import date

import pytest

from bm.config.schema import Config
from bm.providers.provider import effective
from bm.server.models import described
from bm.upstream.discovery import ListedModel
from tests.gateway.world import World

PROVIDERS = {each.name: each for each in effective(Config())}


@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        ("gemini", "gemini-2.5-flash", "gemini-2.5-flash"),
        ("anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("groq", "openai/gpt-oss-120b", "groq:openai/gpt-oss-120b"),
    ],
)
def test_what_to_type(provider: str, model: str, name: str) -> None:
    row = described(ListedModel(id=model, provider=provider, context=1000), PROVIDERS[provider])
    assert (row["name"], row["context"], row["provider"]) == (name, 1000, provider)
    assert len(row["price"]) == 2 and row["price"][0] < row["price"][1]


def test_a_model_that_embeds_has_the_price_of_what_it_reads() -> None:
    listed = ListedModel(id="text-embedding-3-small", provider="openai")
    assert described(listed, PROVIDERS["openai"])["price"] == [0.02, 0]


def test_what_is_not_known_is_not_made_up() -> None:
    row = described(ListedModel(id="no-such-model", provider="groq"), PROVIDERS["groq"])
    assert row["price"] is None and row["note"] == "" and row["context"] == 0


def test_a_model_that_retires_says_so() -> None:
    listed = ListedModel(id="old", provider="groq", retires=date(2020, 1, 1))
    assert described(listed, PROVIDERS["groq"])["note"] == "retired on 2020-01-01"


def test_the_models_in_use(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    rows = world.admin("models")["models"]
    assert {row["provider"] for row in rows} == {"gemini", "groq"}
    assert all(row["name"].startswith("groq:") for row in rows if row["provider"] == "groq")
