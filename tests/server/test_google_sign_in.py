"""Signing in to Google from the page: the browser comes back to this machine, or its address is pasted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.accounts.credentials import load
from bm.simulator import OAuth
from tests.gateway.world import World
from tests.server.signed_in import signed_in
from tests.support.google import CLIENT_SECRET, client_file
from tests.support.waiting import soon


@pytest.fixture
def page(world: World) -> Iterator[httpx.Client]:
    world.set_up(accounts=1)
    with signed_in(world.daemon) as http:
        yield http


def begin(page: httpx.Client, world: World, folder: Path, **fields: Any) -> dict[str, Any]:
    client = client_file(folder / "client_secret.json", world.sim).read_text()
    answer = page.post("/admin/google", json={"name": "me", "client": client} | fields)
    assert answer.status_code == 200 and CLIENT_SECRET not in answer.text, answer.text
    found: dict[str, Any] = answer.json()
    return found


def state(page: httpx.Client, begun: dict[str, Any]) -> str:
    return str(page.get(f"/admin/google/{begun['id']}").json()["state"])


@pytest.mark.parametrize("pasted", [False, True], ids=["back to this machine", "pasted"])
def test_a_person_signs_in(world: World, page: httpx.Client, tmp_path: Path, pasted: bool) -> None:
    begun = begin(page, world, tmp_path, project="project-one")
    assert state(page, begun) == "waiting"
    answer = httpx.get(begun["address"], trust_env=False, follow_redirects=not pasted)
    if pasted:
        given = {"address": answer.headers["location"]}
        assert page.post(f"/admin/google/{begun['id']}", json=given).status_code == 200
    assert soon(lambda: state(page, begun) == "done")
    account = load(world.daemon.paths.accounts).find("me")
    assert (account.kind, account.project) == ("google_oauth", "project-one")
    shown = str(world.admin("accounts")) + world.daemon.log()
    assert account.key not in shown and CLIENT_SECRET not in shown
    again = page.post("/admin/google", json={"name": "me"})
    assert again.status_code == 200, "its client is known"


def test_a_refusal_is_reported(world: World, page: httpx.Client, tmp_path: Path) -> None:
    world.sim.script(oauth=OAuth(deny=True))
    begun = begin(page, world, tmp_path)
    httpx.get(begun["address"], trust_env=False, follow_redirects=True)
    assert soon(lambda: state(page, begun) == "failed")
    assert "access was not granted" in page.get(f"/admin/google/{begun['id']}").json()["message"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"client": "{}"}, "holds no OAuth client"),
        ({"client": ""}, "an OAuth client is needed"),
        ({"client": "no json"}, "is not JSON"),
        ({"name": "-"}, "cannot be the name"),
        ({"client": '{"installed": {"client_id": "a", "client_secret": "cmd:ls"}}'}, "a reference"),
    ],
)
def test_what_cannot_be_signed_in(
    world: World, page: httpx.Client, tmp_path: Path, fields: dict[str, str], words: str
) -> None:
    client = client_file(tmp_path / "client_secret.json", world.sim).read_text()
    answer = page.post("/admin/google", json={"name": "me", "client": client} | fields)
    assert answer.status_code == 400 and words in answer.json()["error"]


def test_an_address_of_another_sign_in_is_refused(world: World, page: httpx.Client, tmp_path: Path) -> None:
    begun = begin(page, world, tmp_path)
    answer = page.post(f"/admin/google/{begun['id']}", json={"address": "http://127.0.0.1/?code=x&state=guessed"})
    assert answer.status_code == 400 and "not the answer to this sign-in" in answer.json()["error"]
    assert page.get("/admin/google/unknown").status_code == 404
