"""The accounts over HTTP: added, changed, tested and removed from the page, with the messages of `bm accounts`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bm.accounts.credentials import load
from bm.simulator import Rule
from tests.gateway.world import World
from tests.server.signed_in import signed_in

NEW = {"name": "fay", "key": "key-of-the-account-fay001"}


@pytest.fixture
def page(world: World) -> Iterator[httpx.Client]:
    """A browser that is signed in."""
    world.set_up(accounts=1, modes={"groq": "off"})
    with signed_in(world.daemon) as http:
        yield http


def names(world: World) -> set[str]:
    return {row["name"] for row in world.admin("accounts")["accounts"]}


def path(world: World, rest: str = "") -> str:
    return f"/admin/accounts/gemini/{world.pool[0]}{rest}"


def test_an_account_is_added_after_its_key_was_tested(world: World, page: httpx.Client) -> None:
    answer = page.post("/admin/accounts", json=NEW)
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["ok"] is True and NEW["key"] not in answer.text
    assert world.account("fay")["state"] == "usable"
    assert {each.account for each in world.sim.log()} == {"fay001"}


def test_a_refused_key_is_not_saved_unless_it_is_not_tested(world: World, page: httpx.Client) -> None:
    world.sim.script(Rule(error="invalid_key", times=None))
    answer = page.post("/admin/accounts", json=NEW)
    assert answer.status_code == 400 and "API key not valid" in answer.json()["error"]
    assert "fay" not in names(world) and NEW["key"] not in answer.text
    assert page.post("/admin/accounts", json=NEW | {"verify": False}).status_code == 200
    assert "fay" in names(world)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "-"}, "cannot be the name of an account"),
        ({"key": ""}, "its key is empty"),
        ({"provider": "grok"}, 'did you mean "groq"?'),
        ({"key": "cmd:touch here"}, "a reference"),
        ({"key": "file:secret"}, "a reference"),
        ({"mood": 1}, "mood"),
    ],
)
def test_what_cannot_be_added(world: World, page: httpx.Client, changes: dict[str, Any], words: str) -> None:
    before = names(world)
    answer = page.post("/admin/accounts", json=NEW | changes)
    assert answer.status_code >= 400 and words in answer.json()["error"]
    assert names(world) == before


def test_a_name_is_used_once(world: World, page: httpx.Client) -> None:
    answer = page.post("/admin/accounts", json=NEW | {"name": world.pool[0]})
    assert answer.status_code == 400 and "already has an account named" in answer.json()["error"]


def test_an_account_is_switched_renamed_and_moved(world: World, page: httpx.Client) -> None:
    assert page.patch(path(world), json={"enabled": False, "tier": 3}).status_code == 200
    row = world.account(world.pool[0])
    assert (row["state"], row["tier"]) == ("off", 3)
    assert page.patch(path(world), json={"enabled": True, "name": "a new name"}).status_code == 200
    assert world.account("a new name")["state"] == "usable"
    assert page.patch(path(world), json={"enabled": True}).json()["error"].startswith("no account of gemini is named")


def test_a_key_is_replaced(world: World, page: httpx.Client) -> None:
    key = "key-of-the-account-other1"
    answer = page.post(path(world, "/key"), json={"key": key})
    assert answer.status_code == 200 and key not in answer.text
    assert world.ask("gemini").complete and world.asked()[-1] == "other1"


def test_the_key_of_a_provider(world: World, page: httpx.Client) -> None:
    assert page.post("/admin/providers/together/key", json={"key": "key-of-the-account-toget1", "verify": False}).json()
    assert [(row["provider"], row["name"]) for row in world.admin("accounts")["accounts"]][-1] == ("together", "main")
    answer = page.post("/admin/providers/gemini/key", json={"key": "x"})
    assert answer.status_code == 400 and "named accounts" in answer.json()["error"]


def test_an_account_that_works_again_is_used_again(world: World, page: httpx.Client) -> None:
    world.sim.script(Rule(status=429, retry_info="3000s"))
    world.ask("gemini")
    assert world.account(world.pool[0])["state"] == "cooling down"
    (result,) = page.post(path(world, "/verify")).json()["results"]
    assert result["ok"] and world.account(world.pool[0])["state"] == "usable"
    assert load(world.daemon.paths.accounts).find(world.pool[0]).renewed_at is not None
    world.sim.script(Rule(error="invalid_key", times=None))
    (result,) = page.post(path(world, "/verify")).json()["results"]
    assert not result["ok"] and "API key not valid" in result["error"]
    assert world.account(world.pool[0])["state"] == "disabled"


def test_an_account_is_removed_with_its_key(world: World, page: httpx.Client) -> None:
    key = f"key-of-the-account-{world.pool[0]}"
    assert key in world.daemon.paths.accounts.read_text()
    assert page.delete(path(world)).status_code == 200
    assert world.pool[0] not in names(world) and key not in world.daemon.paths.accounts.read_text()
    assert page.delete(path(world)).status_code == 400


def test_a_foreign_page_changes_nothing(world: World, page: httpx.Client) -> None:
    for method in ("PATCH", "DELETE", "POST"):
        for origin in ("http://127.0.0.1:1", "https://evil.example"):
            answer = page.request(method, path(world), headers={"origin": origin}, json={"enabled": False})
            assert answer.status_code in (403, 405)
    assert world.account(world.pool[0])["enabled"]
