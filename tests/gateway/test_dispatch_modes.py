"""The table of modes over real sockets: which accounts a request reaches, by what the simulator received.

tests/dispatch/test_plan.py has every case; here each mode is seen once from end to end.
"""

from __future__ import annotations

from typing import Any

import pytest

from bm.simulator import Rule
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, MODELS, World

ALL_DOWN = [Rule(account=end, status=429, retry_info="600s", retry_after=600.0, times=None) for end in ("g0", "g1")]


def provider_of(protocol: str) -> str:
    """A paid provider whose own protocol, where there is one, is the client's."""
    return "anthropic" if protocol == "anthropic" else "groq"


@EVERY_CLIENT
def test_off_is_never_used(world: World, protocol: str, stream: bool) -> None:
    provider = provider_of(protocol)
    world.set_up(modes={provider: "off"})
    for _ in range(4):
        answer = world.ask(protocol, stream=stream)
        assert answer.complete and answer.bm("provider") == "gemini"
    assert set(world.asked()) == set(world.pool)


@EVERY_PROTOCOL
def test_off_refuses_its_prefix_and_names_the_command(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "off"})
    answer = world.ask(protocol, "groq:openai/gpt-oss-120b")
    assert answer.status == 400
    assert "bm providers mode groq" in answer.message
    assert world.asked() == []


@EVERY_CLIENT
def test_exclusive_alone_is_used(world: World, protocol: str, stream: bool) -> None:
    provider = provider_of(protocol)
    world.set_up(modes={provider: "exclusive"}, keys=2)
    for _ in range(4):
        answer = world.ask(protocol, stream=stream)
        assert answer.complete and answer.bm("provider") == provider
        assert answer.bm("account") in world.paid[provider]
        assert (answer.bm("model"), answer.bm("attempts")) == (MODELS[protocol], "1")
    assert sorted(world.asked()) == sorted(world.paid[provider] * 2), "its accounts take turns"


@EVERY_CLIENT
def test_an_exclusive_providers_error_is_returned(world: World, protocol: str, stream: bool) -> None:
    provider = provider_of(protocol)
    world.set_up(modes={provider: "exclusive"}, keys=2)
    world.sim.script(Rule(status=429, retry_after=600.0, message="far too many requests", times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 429 and "far too many requests" in answer.message
    assert sorted(world.asked()) == sorted(world.paid[provider])


@EVERY_PROTOCOL
def test_pooled_has_a_slot_beside_the_accounts(world: World, protocol: str) -> None:
    world.set_up(accounts=1, modes={"groq": "pooled"})
    seen = {world.ask(protocol).bm("provider") for _ in range(40)}
    assert seen == {"gemini", "groq"}


@EVERY_CLIENT
def test_the_rest_of_the_pool_follows_a_pooled_provider_that_fails(world: World, protocol: str, stream: bool) -> None:
    world.set_up(modes={"groq": "pooled"})
    world.sim.script(Rule(api="openai-chat", status=503, times=None))
    answers = [world.ask(protocol, stream=stream) for _ in range(12)]
    assert all(answer.complete and answer.bm("provider") == "gemini" for answer in answers)
    assert world.paid["groq"][0] in world.asked()


@EVERY_CLIENT
def test_fallback_is_used_once_the_pool_is_spent(world: World, protocol: str, stream: bool) -> None:
    provider = provider_of(protocol)
    world.set_up(modes={provider: "fallback"})
    for _ in range(3):
        assert world.ask(protocol, stream=stream).bm("provider") == "gemini"
    world.sim.script(*ALL_DOWN)
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and (answer.bm("provider"), answer.bm("attempts")) == (provider, "3")
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and (answer.bm("provider"), answer.bm("attempts")) == (provider, "1")


@EVERY_PROTOCOL
def test_when_the_fallback_fails_too_the_soonest_account_is_waited_for(world: World, protocol: str) -> None:
    world.set_up(accounts=1, modes={"groq": "fallback"}, max_wait=5, pool="patience = 0")
    world.sim.script(
        Rule(api="gemini", status=429, retry_info="1s"), Rule(api="openai-chat", status=429, retry_after=600.0)
    )
    answer = world.ask(protocol)
    assert answer.complete and (answer.bm("provider"), answer.bm("attempts")) == ("gemini", "3")
    assert world.asked() == [*world.pool, *world.paid["groq"], *world.pool]


@EVERY_CLIENT
def test_a_prefix_selects_its_provider_in_any_mode(world: World, protocol: str, stream: bool) -> None:
    world.set_up(modes={"groq": "fallback", "anthropic": "exclusive"})
    answer = world.ask(protocol, "groq:llama-3.3-70b-versatile", stream=stream)
    assert answer.complete
    assert (answer.bm("provider"), answer.bm("model")) == ("groq", "llama-3.3-70b-versatile")
    answer = world.ask(protocol, "gemini:gemini-2.5-flash", stream=stream)
    assert answer.complete
    assert (answer.bm("provider"), answer.bm("model")) == ("gemini", "gemini-2.5-flash")


@EVERY_PROTOCOL
def test_a_prefix_has_no_failover(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    world.sim.script(Rule(api="openai-chat", status=503, times=None))
    answer = world.ask(protocol, "groq:llama-3.3-70b-versatile")
    assert answer.status == 503
    assert world.asked() == world.paid["groq"]


@EVERY_PROTOCOL
def test_an_alias_is_followed(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "fallback"}, more='[aliases]\nquick = "groq:llama-3.3-70b-versatile"\n')
    answer = world.ask(protocol, "quick")
    assert answer.complete
    assert (answer.bm("provider"), answer.bm("model")) == ("groq", "llama-3.3-70b-versatile")


@pytest.mark.parametrize(
    ("protocol", "provider", "matches"),
    [
        ("anthropic", "anthropic", True),
        ("anthropic", "groq", False),
        ("openai-responses", "groq", True),
    ],
)
def test_which_clients_a_provider_matches_by_default(world: World, protocol: str, provider: str, matches: bool) -> None:
    world.set_up(modes={provider: "exclusive"}, tables={provider: ""})
    assert world.ask(protocol).bm("provider") == (provider if matches else "gemini")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("claude-opus-5", "gemini-3.1-pro-preview"),
        ("gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_families_are_mapped_for_the_pool(world: World, asked: str, sent: str) -> None:
    answer = world.ask("anthropic", asked, stream=False)
    assert answer.complete and answer.bm("model") == sent == answer.json["model"]
    assert [call.model for call in world.calls()] == [sent]


@EVERY_PROTOCOL
def test_a_model_that_a_provider_does_not_list_becomes_its_default(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "exclusive"})
    assert world.ask(protocol, "gpt-5").bm("model") == "gpt-5"
    world.admin("models")
    assert world.ask(protocol, "gpt-5").bm("model") == "openai/gpt-oss-120b"
    assert world.ask(protocol, "qwen/qwen3.8-27b").bm("model") == "qwen/qwen3.8-27b"


@EVERY_CLIENT
def test_echo_model_shows_the_asked_name(world: World, protocol: str, stream: bool) -> None:
    world.set_up(more='[server]\necho_model = "asked"\n[aliases]\nthe-best = "gemini:gemini-3-flash-preview"\n')
    answer = world.ask(protocol, "the-best", stream=stream)
    assert answer.complete and answer.bm("model") == "gemini-3-flash-preview"
    member = b'"modelVersion":' if protocol == "gemini" else b'"model":'
    assert member + b'"the-best"' in answer.body and member + b'"gemini' not in answer.body


@EVERY_PROTOCOL
def test_turns_of_a_conversation_stay_with_one_account(world: World, protocol: str) -> None:
    world.set_up(accounts=4)
    session = {"x-session-id": f"a session of {protocol}"}
    assert len({world.ask(protocol, headers=session).bm("account") for _ in range(6)}) == 1
    assert len({world.ask(protocol).bm("account") for _ in range(6)}) > 1


@EVERY_CLIENT
def test_a_chain_is_tried_in_order(world: World, protocol: str, stream: bool) -> None:
    aliases = '[aliases]\nbest = ["groq:llama-3.3-70b-versatile", "gemini:pro"]\n'
    world.set_up(modes={"groq": "pooled"}, more=aliases)
    assert world.ask(protocol, "best", stream=stream).bm("model") == "llama-3.3-70b-versatile"
    world.sim.script(Rule(api="openai-chat", status=503, times=None))
    answer = world.ask(protocol, "best", stream=stream)
    assert answer.complete
    assert (answer.bm("model"), answer.bm("attempts")) == ("gemini-3.1-pro-preview", "2")


THINKING: dict[str, dict[str, Any]] = {
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "openai-chat": {"reasoning_effort": "high"},
    "openai-responses": {"reasoning": {"effort": "high"}},
    "gemini": {"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}},
}
ROUTES = """[routes]
think = "gemini:pro"
default = "groq:openai/gpt-oss-20b"
[routes.codex]
default = "gemini:flash-lite"
"""


@EVERY_PROTOCOL
def test_a_request_goes_by_what_it_is(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "fallback"}, more=ROUTES)
    codex = {"user-agent": "codex_exec/0.169.0 (Debian 12.0.0; x86_64)"}
    assert world.ask(protocol).bm("model") == "openai/gpt-oss-20b"
    assert world.ask(protocol, **THINKING[protocol]).bm("model") == "gemini-3.1-pro-preview"
    assert world.ask(protocol, headers=codex).bm("model") == "gemini-3.5-flash-lite"
    prefixed = world.ask(protocol, "gemini:gemini-2.5-flash", **THINKING[protocol])
    assert prefixed.bm("model") == "gemini-2.5-flash"
    why = world.admin(f"why/{prefixed.bm('request-id')}")
    assert why["steps"] == ["the prefix asks for gemini"]


def test_embeddings_are_not_routed(world: World) -> None:
    world.set_up(more='[routes]\ndefault = "gemini:pro"\n')
    world.send("openai-chat", "/v1/embeddings", {"model": "gemini-embedding-001", "input": "hello"})
    assert [call.model for call in world.calls()] == ["gemini-embedding-001"]
