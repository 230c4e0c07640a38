"""The model list, in each client's protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import Credentials, update
from bm.config.paths import Paths, make_folders
from bm.gateway.services import Services
from bm.gateway.settings import Settings, read_settings
from bm.providers.resolve import model_for
from bm.simulator import Rule, Simulator
from tests.gateway.world import World
from tests.support.waiting import LONG, until
from tests.upstream.wire import Exchange, serving

ALIASES = '[aliases]\nquick = "groq:llama-3.3-70b-versatile"\n'


def headers(world: World, protocol: str) -> dict[str, str]:
    """The headers of a client of that protocol."""
    key = world.daemon.key
    return {
        "openai-chat": {"authorization": f"Bearer {key}"},
        "anthropic": {"x-api-key": key, "anthropic-version": "2023-06-01"},
        "gemini": {"x-goog-api-key": key},
    }[protocol]


def look(world: World, protocol: str, path: str = "/v1/models") -> httpx.Response:
    with httpx.Client(base_url=world.daemon.url, timeout=20, trust_env=False, verify=False) as http:
        return http.get(path, headers=headers(world, protocol))


def names(world: World, protocol: str) -> list[str]:
    body: dict[str, Any] = look(world, protocol).json()
    if protocol == "gemini":
        return [row["name"].removeprefix("models/") for row in body["models"]]
    return [row["id"] for row in body["data"]]


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic", "gemini"])
def test_the_list_of_all_providers_in_use(world: World, protocol: str) -> None:
    world.set_up(modes={"anthropic": "fallback", "groq": "pooled", "together": "off"}, more=ALIASES)
    found = names(world, protocol)
    assert {"gemini-3-flash-preview", "claude-opus-5", "groq:openai/gpt-oss-120b", "quick"} <= set(found)
    assert not [name for name in found if name.startswith("together:")]
    assert found.index("gemini-3-flash-preview") < found.index("claude-opus-5") < found.index("quick")


@pytest.mark.parametrize(
    ("protocol", "path"),
    [
        ("openai-chat", "/v1/models/groq:openai/gpt-oss-120b"),
        ("openai-chat", "/v1/models/openai%2Fgpt-oss-120b"),
        ("anthropic", "/v1/models/claude-opus-5"),
        ("gemini", "/v1beta/models/gemini-2.5-pro"),
        ("openai-chat", "/v1/models/quick"),
    ],
)
def test_one_model(world: World, protocol: str, path: str) -> None:
    world.set_up(modes={"anthropic": "fallback", "groq": "pooled"}, more=ALIASES)
    assert look(world, protocol, path).status_code == 200


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic", "gemini"])
def test_a_model_that_is_not_there(world: World, protocol: str) -> None:
    answer = look(world, protocol, "/v1/models/nowhere")
    assert answer.status_code == 404 and "bm models" in answer.json()["error"]["message"]


def test_lists_are_read_once_while_they_are_fresh(world: World) -> None:
    for _ in range(3):
        names(world, "openai-chat")
    assert [record.operation for record in world.sim.log()] == ["models"]


def test_an_account_that_is_refused_leaves_the_list_to_the_next(world: World) -> None:
    world.sim.script(Rule(operation="models", status=500))
    assert "gemini-3-flash-preview" in names(world, "openai-chat")
    assert len(world.sim.log()) == 2


def test_a_provider_without_a_list_does_not_hide_the_others(world: World) -> None:
    world.set_up(modes={"mistral": "pooled"})
    world.sim.script(Rule(path="/mistral", operation="models", status=500, times=None))
    found = names(world, "openai-chat")
    assert "gemini-3-flash-preview" in found and not [name for name in found if name.startswith("mistral:")]


def test_the_list_needs_the_key(world: World) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as anonymous:
        assert anonymous.get("/v1/models").status_code == 401


def test_claude_code_finds_every_model_and_can_ask_for_it(world: World) -> None:
    world.set_up(modes={"groq": "pooled"}, more=ALIASES)
    rows = {row["id"]: row for row in look(world, "anthropic", "/v1/models?limit=1000").json()["data"]}
    shown = {name for name in rows if name.startswith("claude-")}
    assert {"claude-gemini-2.5-pro", "claude-groq:openai/gpt-oss-120b", "claude-quick"} <= shown
    assert rows["claude-gemini-2.5-pro"]["display_name"] == rows["gemini-2.5-pro"]["display_name"]
    assert look(world, "anthropic", "/v1/models/claude-gemini-2.5-pro").status_code == 200


def test_lists_come_in_pages(world: World) -> None:
    first = look(world, "anthropic", "/v1/models?limit=2").json()
    assert len(first["data"]) == 2 and first["has_more"]
    assert look(world, "anthropic", "/v1/models?limit=x").status_code == 400


GROQ = """[gemini]
base_url = "{url}"
[providers.groq]
enabled = true
mode = "exclusive"
base_url = "{url}{path}"
models = {{ default = "openai/gpt-oss-120b" }}
"""


def settings(home: Path, url: str, path: str = "/groq/openai/v1", more: str = "") -> Settings:
    paths = Paths.under(home)
    make_folders(paths)
    paths.config.write_text(GROQ.format(url=url, path=path) + more)
    keys = [Account(name=name, key=f"key-of-the-account-{name}", provider="groq") for name in ("groq01", "groq02")]
    update(paths.accounts, lambda stored: Credentials(local_key=stored.local_key, accounts=tuple(keys)))
    return read_settings(paths, {})


@pytest.fixture
async def learning(bm_home: Path) -> AsyncIterator[tuple[Services, Simulator]]:
    """Services that read the lists in the background, and the provider they read them from."""
    with Simulator() as simulator:
        services = Services(settings(bm_home, simulator.url))
        work = asyncio.ensure_future(services.models.keep_fresh())
        try:
            yield services, simulator
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            await services.close()


def known(services: Services) -> list[frozenset[str] | None]:
    """The models that each account of groq is known to have."""
    member = next(each for each in services.router.snapshot(services.settings).members if each.provider.name == "groq")
    return [account.models for account in member.accounts]


async def until_known(services: Services) -> None:
    await until(lambda: None not in known(services), LONG)


async def test_lists_are_read_in_the_background(learning: tuple[Services, Simulator]) -> None:
    services, simulator = learning
    await until_known(services)
    assert len(known(services)) == 2, "what one key lists is known of the other"
    groq = services.settings.providers["groq"]
    assert all(model_for(groq, "gpt-5", each).rule == "default" for each in known(services))
    assert {record.path for record in simulator.log()} == {"/groq/openai/v1/models"}, (
        "gemini has no account to ask with"
    )


@pytest.mark.parametrize("body", ['{"object": "list", "data": []}', "{}", '{"data": [{"object": "model"}]}', '"ok"'])
async def test_an_empty_or_unreadable_list_leaves_models_unknown(bm_home: Path, body: str) -> None:
    bodies = [b'{"data": [{"id": "llama-3.3-70b-versatile"}]}', body.encode(), body.encode()]

    async def lists(exchange: Exchange) -> None:
        await exchange.answer(200, bodies.pop())

    async with serving(lists) as server:
        services = Services(settings(bm_home, server.url))
        assert await services.models.all() == ()
        assert known(services) == [None, None]
        assert len(await services.models.all()) == 1, "an empty list does not count as fresh"
        assert None not in known(services)
        await services.close()


async def test_the_list_of_a_replaced_service_is_dropped(learning: tuple[Services, Simulator], bm_home: Path) -> None:
    services, simulator = learning
    await until_known(services)
    simulator.script(Rule(operation="models", status=500, times=None))
    services.apply(settings(bm_home, simulator.url, "/together/v1"))
    assert known(services) == [None, None]
    assert [model for model in await services.models.all() if model.provider == "groq"] == []


async def test_a_change_of_other_settings_keeps_the_list(learning: tuple[Services, Simulator], bm_home: Path) -> None:
    services, simulator = learning
    await until_known(services)
    services.apply(settings(bm_home, simulator.url, more='[aliases]\nquick = "groq:x"\n'))
    assert None not in known(services)


async def test_a_list_of_a_service_replaced_meanwhile_is_dropped(
    learning: tuple[Services, Simulator], bm_home: Path
) -> None:
    services, simulator = learning
    simulator.script(Rule(operation="models", path="/groq", head_delay=0.5))
    asking = asyncio.ensure_future(services.models.all())
    await until(lambda: bool(simulator.log()), LONG)
    services.apply(settings(bm_home, simulator.url, "/nothing/here"))
    await asking
    assert known(services) == [None, None]


async def test_lists_are_not_read_if_learn_models_is_off(bm_home: Path) -> None:
    with Simulator() as simulator:
        services = Services(settings(bm_home, simulator.url, more="[pool]\nlearn_models = false\n"))
        work = asyncio.ensure_future(services.models.keep_fresh())
        await asyncio.sleep(0.5)
        assert simulator.log() == []
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        await services.close()


async def test_a_local_server_is_asked_for_its_wires(bm_home: Path) -> None:
    async def answers(exchange: Exchange) -> None:
        await exchange.answer(400 if exchange.target == "/v1/messages" else 404, b"{}")

    async with serving(answers) as server:
        more = f'[providers.ollama]\nenabled = true\nmode = "fallback"\nbase_url = "{server.url}/v1"\n'
        services = Services(settings(bm_home, server.url, more=more))
        work = asyncio.ensure_future(services.models.keep_fresh())
        try:
            await until(lambda: services.models.wires("ollama") == ("anthropic",), LONG)
            members = services.router.snapshot(services.settings).members
            assert next(each.wires for each in members if each.provider.name == "ollama") == ("anthropic",)
            services.apply(settings(bm_home, server.url))
            assert services.models.wires("ollama") == ()
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            await services.close()
