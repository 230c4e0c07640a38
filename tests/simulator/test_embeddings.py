"""Vectors that depend on their text alone, through the official SDKs."""

from __future__ import annotations

import openai
from google import genai

from bm.simulator import Simulator
from bm.simulator.embeddings import DIMENSIONS, vector


def test_a_text_has_one_vector() -> None:
    assert vector("a") == vector("a") != vector("b")
    assert len(vector("a")) == DIMENSIONS
    assert vector("a", 100)[:8] == vector("a")


def test_openai(sim: Simulator) -> None:
    with openai.OpenAI(api_key="k", base_url=f"{sim.url}/v1", max_retries=0) as client:
        answer = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=40)
        plain = client.embeddings.create(model="text-embedding-3-small", input="a", encoding_format="float")
    assert [data.embedding for data in answer.data] == [vector("a", 40), vector("b", 40)]
    assert plain.data[0].embedding == vector("a")
    assert plain.usage.prompt_tokens == 1


def test_gemini(sim: Simulator) -> None:
    client = genai.Client(api_key="k", http_options={"base_url": sim.url})
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["a"])
    client.close()
    assert [embedding.values for embedding in answer.embeddings or []] == [vector("a")]
