"""Accounts with access tokens behind a running daemon: Vertex AI's URLs, and failing credentials, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.daemon.main import _secrets
from bm.simulator import OAuth, Rule
from bm.simulator.request import Record
from tests.gateway.world import EVERY_CLIENT, World
from tests.support.daemon import daemon
from tests.support.google import key_pair, person, robot

ROBOT_MODELS = "/v1beta1/projects/project-one/locations/global/publishers/google/models/"


@pytest.fixture
def google(world: World) -> Iterator[World]:
    """No key in the pool; the simulator plays Vertex AI too."""
    world.set_up(accounts=0, more=f'vertex_base_url = "{world.sim.url}"')
    yield world
    world.sim.reset()


def with_accounts(world: World, *accounts: Account) -> None:
    for account in accounts:
        update(world.daemon.paths.accounts, lambda stored, account=account: stored.add(account))  # type: ignore[misc]
    assert world.admin("reload", {})["ok"]


def served(world: World) -> list[Record]:
    """Requests for answers and counts, with those that were refused."""
    return [each for each in world.calls() if each.api]


@EVERY_CLIENT
def test_vertex_serves_every_client(google: World, tmp_path: Path, protocol: str, stream: bool) -> None:
    google.sim.script(oauth=OAuth(accounts={"robot@project-one.iam.gserviceaccount.com": key_pair()[1]}))
    with_accounts(google, robot(tmp_path / "key.json", google.sim))
    answer = google.ask(protocol, stream=stream)
    assert answer.complete and answer.bm("account") == "robot"
    (call,) = served(google)
    assert call.path.startswith(ROBOT_MODELS)
    assert "x-goog-user-project" not in call.headers
    assert call.headers["authorization"] == "***" and "x-goog-api-key" not in call.headers


def test_a_client_of_api_version_v1_keeps_it(google: World, tmp_path: Path) -> None:
    with_accounts(google, robot(tmp_path / "key.json", google.sim))
    body = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    for version, called in (("v1", "/v1/"), ("v1alpha", "/v1beta1/")):
        assert google.send("gemini", f"/{version}/models/gemini-2.5-flash:generateContent", body).status == 200
        assert served(google)[-1].path.startswith(called)


@EVERY_CLIENT
def test_a_user_account_names_the_billed_project(google: World, protocol: str, stream: bool) -> None:
    with_accounts(google, person(google.sim))
    assert google.ask(protocol, stream=stream).complete
    (call,) = served(google)
    assert call.path.startswith("/v1beta/models/")
    assert call.headers["x-goog-user-project"] == "project-one"


@pytest.mark.parametrize("location", ["", "global"])
def test_tokens_are_counted(google: World, location: str) -> None:
    with_accounts(google, person(google.sim, location=location))
    body = {"model": "claude-sonnet-5", "system": "Be brief.", "messages": [{"role": "user", "content": "hello there"}]}
    answer = google.send("anthropic", "/v1/messages/count_tokens", body)
    assert answer.status == 200 and answer.json["input_tokens"] > 0
    whole = {"model": "models/g", "contents": [{"role": "user", "parts": [{"text": "hello there"}]}]}
    path = "/v1beta/models/gemini-3-flash-preview:countTokens"
    answer = google.send("gemini", path, {"generateContentRequest": whole})
    assert answer.status == 200 and answer.json["totalTokens"] > 0
    assert [("generateContentRequest" in each.body) for each in served(google)] == [not location] * 2


@pytest.mark.parametrize("location", ["", "global"])
def test_models_are_listed_and_accounts_probed(google: World, location: str) -> None:
    with_accounts(google, person(google.sim, location=location))
    assert "gemini-2.5-pro" in {row["id"] for row in google.admin("models")["models"]}
    (result,) = google.admin("probe", {"names": ["me"]})["results"]
    assert result["ok"] and result["key_accepted"]


def test_a_revoked_sign_in_disables_the_account_and_the_next_answers(google: World) -> None:
    with_accounts(google, person(google.sim), Account(name="spare", key="key-of-spare"))
    google.sim.script(oauth=OAuth(revoke=True))
    answers = [google.ask("anthropic") for _ in range(4)]
    assert all(answer.complete and answer.bm("account") == "spare" for answer in answers)
    row = google.account("me")
    assert row["state"] == "disabled"
    assert "no longer valid" in row["reason"] and "bm accounts login me" in row["reason"]


def test_a_revoked_sign_in_is_reported_with_its_remedy_not_as_401(google: World) -> None:
    with_accounts(google, person(google.sim))
    google.sim.script(oauth=OAuth(revoke=True))
    answer = google.ask("anthropic")
    assert answer.status == 400
    assert answer.message.count("(bm accounts") == 1 and "bm accounts login me" in answer.message


def test_a_token_that_expires_early_fails_no_request(google: World) -> None:
    with_accounts(google, person(google.sim))
    assert google.ask("anthropic").complete
    google.sim.script(oauth=OAuth(expire=True))
    answer = google.ask("anthropic")
    assert answer.complete and answer.bm("attempts") == "1"
    assert [each.status for each in served(google)] == [200, 401, 200]
    assert google.account("me")["state"] == "usable"


def test_a_probe_distinguishes_an_expired_token_from_a_revoked_sign_in(google: World) -> None:
    with_accounts(google, person(google.sim))
    for oauth, works in ((OAuth(), True), (OAuth(expire=True), True), (OAuth(revoke=True), False)):
        google.sim.script(oauth=oauth)
        (result,) = google.admin("probe", {"names": ["me"]})["results"]
        assert result["ok"] is works, result
    assert "no longer valid" in result["error"]


def test_a_token_endpoint_that_is_down_has_no_effect_on_the_account(google: World) -> None:
    with_accounts(google, person(google.sim), Account(name="spare", key="key-of-spare"))
    google.sim.script(oauth=OAuth(fault="down"))
    assert all(google.ask("anthropic").bm("account") == "spare" for _ in range(4))
    row = google.account("me")
    assert (row["state"], row["health"], row["cooldowns"]) == ("usable", 1.0, [])
    assert "no access token" in google.account("me")["last_error"]


def test_a_wrong_project_is_named(google: World) -> None:
    with_accounts(google, person(google.sim, project="project-two"))
    google.sim.script(oauth=OAuth(projects=("project-one",)))
    google.sim.script(Rule(error="permission", message="Permission denied."))
    assert google.ask("anthropic").status == 400
    row = google.account("me")
    assert row["state"] == "disabled" and "project-two" in row["reason"]


def test_the_project_is_added_to_a_refusal_without_it(google: World) -> None:
    with_accounts(google, person(google.sim, project="project-two"))
    google.sim.script(Rule(error="permission", message="Permission denied."))
    assert google.ask("anthropic").status == 400
    assert "Permission denied. (project project-two)" in google.account("me")["reason"]


def test_an_unreadable_key_file_disables_only_its_account(google: World, tmp_path: Path) -> None:
    account = robot(tmp_path / "key.json", google.sim)
    (tmp_path / "key.json").unlink()
    with_accounts(google, account, Account(name="spare", key="key-of-spare"))
    assert google.ask("anthropic").bm("account") == "spare"
    row = google.account("robot")
    assert row["state"] == "disabled" and "key.json" in row["reason"]


def test_two_daemons_with_one_sign_in_lose_no_refresh_token(google: World, tmp_path: Path) -> None:
    """Both keep to the same accounts.toml, and every refresh voids the token before."""
    home = tmp_path / "other"
    config = f'[gemini]\nbase_url = "{google.sim.url}"\n'
    with_accounts(google, person(google.sim))
    google.sim.script(oauth=OAuth(rotate=True))
    with daemon(home, config) as other:
        other.paths.accounts.unlink()
        other.paths.accounts.symlink_to(google.daemon.paths.accounts)
        with httpx.Client(timeout=20, trust_env=False, verify=False) as http:
            http.post(f"{other.url}/admin/reload", headers={"x-api-key": other.key}, json={})
            body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
            for _ in range(4):
                google.sim.script(oauth=OAuth(rotate=True, expire=True, delay=0.05))
                with ThreadPoolExecutor(2) as at_once:
                    one = at_once.submit(google.ask, "anthropic")
                    two = at_once.submit(
                        http.post, f"{other.url}/v1/messages", headers=google.daemon.headers, json=body
                    )
                assert one.result().complete and two.result().status_code == 200
    tokens = [each for each in google.sim.log() if each.path == "/oauth/token"]
    assert {each.status for each in tokens} == {200}
    assert google.account("me")["state"] == "usable"


def test_secrets_are_only_written_to_accounts_toml(google: World) -> None:
    with_accounts(google, person(google.sim))
    google.sim.script(oauth=OAuth(rotate=True))
    google.ask("anthropic")
    google.sim.script(oauth=OAuth(revoke=True))
    google.ask("anthropic")
    (account,) = load(google.daemon.paths.accounts).accounts
    assert account.client is not None
    reported = google.daemon.log() + json.dumps([google.admin("accounts"), google.admin("status")])
    for secret in (account.key, account.client.secret, "sim-access-"):
        assert secret not in reported


def test_the_secret_of_a_client_is_masked_in_the_log(google: World) -> None:
    account = person(google.sim)
    with_accounts(google, account)
    assert account.client is not None
    known = _secrets(google.daemon.paths, {})
    assert {account.key, account.client.secret} <= set(known)
