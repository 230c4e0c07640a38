"""Model lists, in the shape of each service."""

from __future__ import annotations

import anthropic
import httpx
import openai
import pytest
from google import genai

from bm.simulator import Simulator
from bm.simulator.models import ANTHROPIC, DIMENSIONS, GEMINI, GROQ, OPENAI, TOGETHER, vector
from tests.support.shared import needs_corpus, validators


def test_the_sdk_of_each_service_lists_its_models(sim: Simulator) -> None:
    with anthropic.Anthropic(api_key="k", base_url=sim.url, max_retries=0) as claude:
        assert tuple(model.id for model in claude.models.list()) == ANTHROPIC
    with openai.OpenAI(api_key="k", base_url=f"{sim.url}/v1", max_retries=0) as gpt:
        assert tuple(model.id for model in gpt.models.list()) == OPENAI


@pytest.mark.parametrize(("prefix", "names"), [("/groq/openai", GROQ), ("/together", TOGETHER), ("/openai", OPENAI)])
def test_a_path_prefix_names_the_service(sim: Simulator, prefix: str, names: tuple[str, ...]) -> None:
    with openai.OpenAI(api_key="k", base_url=f"{sim.url}{prefix}/v1", max_retries=0) as client:
        assert tuple(model.id for model in client.models.list()) == names


@pytest.mark.parametrize("size", [1, 2, 50])
def test_gemini_lists_page_by_page(sim: Simulator, size: int) -> None:
    client = genai.Client(api_key="k", http_options={"base_url": sim.url})
    listed = [model.name for model in client.models.list(config={"page_size": size})]
    client.close()
    assert listed == [f"models/{name}" for name in GEMINI]


def test_anthropic_says_that_there_are_more(http: httpx.Client) -> None:
    page = http.get("/v1/models", params={"limit": 1}).json()
    assert (page["has_more"], page["first_id"], page["last_id"]) == (True, ANTHROPIC[0], ANTHROPIC[0])


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"/v1/models/{ANTHROPIC[0]}", {"anthropic-version": "2023-06-01"}, 200),
        ("/v1/models/claude-0", {"anthropic-version": "2023-06-01"}, 404),
        (f"/v1beta/models/{GEMINI[0]}", {}, 200),
        ("/v1beta/models/gemini-0", {}, 404),
        (f"/groq/openai/v1/models/{GROQ[1]}", {}, 200),
    ],
)
def test_one_model(sim: Simulator, path: str, headers: dict[str, str], status: int) -> None:
    answer = httpx.get(f"{sim.url}{path}", headers={"authorization": "Bearer k", **headers})
    assert answer.status_code == status


@needs_corpus
@pytest.mark.corpus
@pytest.mark.parametrize(
    ("kind", "path", "headers"),
    [
        ("anthropic.models", "/v1/models", {"anthropic-version": "2023-06-01"}),
        ("openai.models", "/v1/models", {}),
        ("gemini.models", "/v1beta/models", {}),
    ],
)
def test_a_list_is_of_the_official_types(sim: Simulator, kind: str, path: str, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{sim.url}{path}", headers={"authorization": "Bearer k", **headers})
    result = validators().validate_response(kind, answer.text, compat=False)
    assert result.errors == []
    assert set(result.warnings) <= {"supportedGenerationMethods: unknown field"}


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
