"""Access tokens over real sockets: refreshed before they expire, one at a time, without losing a credential."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bm.accounts.account import Access, Account
from bm.accounts.credentials import Credential, Credentials, load, update
from bm.accounts.google import Fetch, Fetched, FetchRequest, TokenError
from bm.accounts.store import AccountFile, lock_path
from bm.accounts.tokens import Tokens, with_token
from bm.config.files import locked
from bm.errors import Failure
from bm.simulator import OAuth, Simulator
from tests.support.google import key_pair, oauth_client, person, refresh_token, robot
from tests.support.waiting import until


class Clock:
    """Both clocks of a machine, which a test sets forward."""

    def __init__(self) -> None:
        self.now, self.wall = 1000.0, 1_800_000_000.0

    def sleep(self, seconds: float) -> None:
        """A laptop sleeps: the monotonic clock may stand still meanwhile."""
        self.wall += seconds

    def run(self, seconds: float) -> None:
        """Time goes by."""
        self.now += seconds
        self.wall += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(bm_home: Path) -> Path:
    return bm_home / "accounts.toml"


@pytest.fixture
async def tokens(path: Path, fetch: Fetch, clock: Clock) -> AsyncIterator[Tokens]:
    made = Tokens(AccountFile(path), fetch, clock=lambda: clock.now, wall=lambda: clock.wall)
    yield made
    await made.close()


def stored(path: Path, account: Account) -> Credential:
    update(path, lambda it: it.add(account))
    return Credential(account=account)


def asked(sim: Simulator) -> int:
    """How many access tokens were asked for."""
    grants = [each.body["grant_type"] for each in sim.log() if each.path == "/oauth/token"]
    return len(grants) - grants.count("authorization_code")


async def refusal(tokens: Tokens, credential: Credential) -> Failure:
    with pytest.raises(TokenError) as caught:
        await tokens.access(credential)
    return caught.value.failure


async def test_a_key_is_sent_as_it_is(tokens: Tokens) -> None:
    credential = Credential(account=Account(name="a", key="the-key"), secret="the-key")
    assert await tokens.access(credential) == Access(key="the-key")


async def test_a_token_is_obtained_once_and_names_who_is_billed(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim, location="global"))
    first = await tokens.access(credential)
    assert (first.bearer, first.billed, first.project, first.location) == (True, "project-one", "project-one", "global")
    assert await tokens.access(credential) == first
    assert asked(sim) == 1


async def test_a_service_account_pays_for_itself(tokens: Tokens, path: Path, sim: Simulator, tmp_path: Path) -> None:
    account = robot(tmp_path / "key.json", sim)
    sim.script(oauth=OAuth(accounts={"robot@project-one.iam.gserviceaccount.com": key_pair()[1]}))
    access = await tokens.access(stored(path, account))
    assert (access.bearer, access.billed, access.project) == (True, "", "project-one")


async def test_concurrent_requests_cause_one_refresh(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    sim.script(oauth=OAuth(delay=0.1))
    found = await asyncio.gather(*(tokens.access(credential) for _ in range(20)))
    assert len({access.key for access in found}) == 1
    assert asked(sim) == 1


async def test_a_cancelled_caller_does_not_cancel_the_refresh(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    sim.script(oauth=OAuth(delay=0.1))
    first = asyncio.ensure_future(tokens.access(credential))
    await asyncio.sleep(0.02)
    first.cancel()
    assert (await tokens.access(credential)).bearer
    assert asked(sim) == 1


async def test_a_token_near_its_expiry_is_used_while_it_is_refreshed(
    tokens: Tokens, path: Path, sim: Simulator, clock: Clock
) -> None:
    credential = stored(path, person(sim))
    first = await tokens.access(credential)
    clock.run(3200)
    assert await tokens.access(credential) == first
    assert asked(sim) == 1
    clock.run(150)
    assert await tokens.access(credential) == first
    await until(lambda: asked(sim) == 2)
    await until_changed(tokens, credential, first)
    assert asked(sim) == 2


async def until_changed(tokens: Tokens, credential: Credential, old: Access) -> None:
    async with asyncio.timeout(5):
        while await tokens.access(credential) == old:  # noqa: ASYNC110 - it looks at another thread
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("way", ["run", "sleep"])
async def test_a_token_that_has_ended_by_either_clock_is_not_sent(
    tokens: Tokens, path: Path, sim: Simulator, clock: Clock, way: str
) -> None:
    credential = stored(path, person(sim))
    first = await tokens.access(credential)
    getattr(clock, way)(3600)
    assert await tokens.access(credential) != first


async def test_a_token_that_the_service_refused_is_not_given_again(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    first = await tokens.access(credential)
    second = await tokens.access(credential, refused=first.key)
    assert second.key != first.key
    assert await tokens.access(credential) == second


async def test_an_endpoint_that_is_down_is_not_the_accounts_fault(
    tokens: Tokens, path: Path, sim: Simulator, clock: Clock
) -> None:
    credential = stored(path, person(sim))
    first = await tokens.access(credential)
    for fault in ("down", "unavailable"):
        sim.script(oauth=OAuth(fault="down" if fault == "down" else "unavailable"))
        clock.run(1)
        failure = await refusal_after_end(tokens, credential, clock)
        assert failure.kind == "connection", failure
    sim.script(oauth=OAuth())
    clock.run(10)
    assert await tokens.access(credential) != first


async def refusal_after_end(tokens: Tokens, credential: Credential, clock: Clock) -> Failure:
    clock.run(3600)
    return await refusal(tokens, credential)


async def test_a_valid_token_is_used_while_the_endpoint_is_down(
    tokens: Tokens, path: Path, sim: Simulator, clock: Clock
) -> None:
    credential = stored(path, person(sim))
    first = await tokens.access(credential)
    sim.script(oauth=OAuth(fault="down"))
    clock.run(3400)
    for _ in range(5):
        assert await tokens.access(credential) == first
        await asyncio.sleep(0.02)
    assert asked(sim) == 3, "the first, and one refresh, which a broken connection has sent twice"


async def test_a_burst_upon_a_failure_is_one_request(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    sim.script(oauth=OAuth(fault="down"))
    for _ in range(5):
        await refusal(tokens, credential)
    assert asked(sim) == 1


@pytest.mark.parametrize(("took", "pause"), [(0.5, 2), (4, 12), (10, 30), (60, 30)])
async def test_an_endpoint_that_is_silent_keeps_few_requests_waiting(
    path: Path, sim: Simulator, clock: Clock, took: float, pause: float
) -> None:
    calls = 0

    async def silent(_: FetchRequest) -> Fetched | Failure:
        nonlocal calls
        calls += 1
        clock.run(took)
        return Failure(kind="timeout", message="no answer")

    tokens = Tokens(AccountFile(path), silent, clock=lambda: clock.now, wall=lambda: clock.wall)
    credential = stored(path, person(sim))
    for wait in (0, pause - 0.1, 0.2):
        clock.run(wait)
        await refusal(tokens, credential)
    await tokens.close()
    assert calls == 2


async def test_a_revoked_sign_in_names_the_remedy(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    sim.script(oauth=OAuth(revoke=True))
    failure = await refusal(tokens, credential)
    assert failure.kind == "upstream_auth"
    assert "no longer valid" in failure.message and failure.message.endswith("(bm accounts login me)")


async def test_signing_in_again_takes_effect_at_once(tokens: Tokens, path: Path, sim: Simulator) -> None:
    account = person(sim)
    credential = stored(path, account)
    sim.script(oauth=OAuth(revoke=True))
    await refusal(tokens, credential)
    again = msgspec.structs.replace(account, key=refresh_token(sim), renewed_at=datetime.now(UTC))
    update(path, lambda it: it.change(again))
    assert (await tokens.access(Credential(account=again))).bearer


async def test_a_replaced_refresh_token_is_stored_before_the_access_token_is_used(
    tokens: Tokens, path: Path, sim: Simulator, clock: Clock
) -> None:
    account = person(sim)
    credential = stored(path, account)
    sim.script(oauth=OAuth(rotate=True))
    await tokens.access(credential)
    second = load(path).accounts[0].key
    assert second != account.key
    clock.run(3600)
    # What the settings remember is two exchanges old by now; the file counts.
    await tokens.access(credential)
    assert load(path).accounts[0].key not in (account.key, second)


async def test_a_token_that_cannot_be_stored_is_kept_and_stored_later(
    tokens: Tokens, path: Path, sim: Simulator, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = person(sim)
    credential = stored(path, account)
    sim.script(oauth=OAuth(rotate=True))
    with monkeypatch.context() as patch:
        patch.setattr("bm.accounts.credentials.write_private", full_disk)
        await tokens.access(credential)
    assert load(path).accounts[0].key == account.key
    clock.run(3600)
    await tokens.access(credential)
    assert load(path).accounts[0].key != account.key
    clock.run(3600)
    assert (await tokens.access(credential)).bearer


async def test_a_token_that_could_not_be_stored_is_stored_as_soon_as_possible(
    tokens: Tokens, path: Path, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bm.accounts.tokens.WRITE_PAUSE", 0.02)
    account = person(sim)
    credential = stored(path, account)
    sim.script(oauth=OAuth(rotate=True))
    with monkeypatch.context() as patch:
        patch.setattr("bm.accounts.credentials.write_private", full_disk)
        await tokens.access(credential)
        await asyncio.sleep(0.1)
        assert load(path).accounts[0].key == account.key
    await until(lambda: load(path).accounts[0].key != account.key)


async def test_a_token_that_could_not_be_stored_is_stored_when_bm_stops(
    path: Path, fetch: Fetch, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = Tokens(AccountFile(path), fetch)
    credential = stored(path, person(sim))
    sim.script(oauth=OAuth(rotate=True))
    with monkeypatch.context() as patch:
        patch.setattr("bm.accounts.credentials.write_private", full_disk)
        await tokens.access(credential)
    await tokens.close()
    again = Tokens(AccountFile(path), fetch)
    assert (await again.access(Credential(account=load(path).accounts[0]))).bearer
    await again.close()


async def test_a_token_is_obtained_where_no_lock_can_be_made(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    lock_path(path, credential.id).mkdir()
    assert (await tokens.access(credential)).bearer


async def test_quoted_secrets_are_masked(path: Path, sim: Simulator) -> None:
    account = person(sim)
    assert account.client is not None
    words = f"no such token {account.key} of client {account.client.secret}, 1//0{'a' * 30}"

    async def quoting(_: FetchRequest) -> Fetched | Failure:
        body = msgspec.json.encode({"error": "invalid_grant", "error_description": words})
        return Fetched(status=400, headers={}, body=body)

    tokens = Tokens(AccountFile(path), quoting)
    failure = await refusal(tokens, stored(path, account))
    await tokens.close()
    assert "no such token [secret] of client [secret], [secret]" in failure.message


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_refresh_does_not_undo_a_new_sign_in(sim: Simulator) -> None:
    account = person(sim)
    anew = msgspec.structs.replace(account, key="signed-in-anew")
    assert with_token(Credentials(accounts=(anew,)), account, "with_token") == Credentials(accounts=(anew,))
    assert with_token(Credentials(), account, "with_token") == Credentials()


async def test_a_refresh_in_another_process_is_awaited(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    with locked(lock_path(path, credential.id)):
        waiting = asyncio.ensure_future(tokens.access(credential))
        await asyncio.sleep(0.1)
        assert asked(sim) == 0
    assert (await waiting).bearer


REFRESHER = """
import asyncio, sys
from pathlib import Path
from bm.accounts.credentials import Credential
from bm.accounts.credentials import load
from bm.accounts.store import AccountFile
from bm.accounts.tokens import Tokens
from bm.config.schema import Config
from bm.upstream.fetch import token_fetcher
from bm.upstream.client import UpstreamClient

async def main(path):
    client = UpstreamClient()
    tokens = Tokens(AccountFile(path), token_fetcher(client, Config))
    credential = Credential(account=load(path).accounts[0])
    print("ready", flush=True)
    sys.stdin.readline()
    refused = ""
    for _ in range(3):
        refused = (await tokens.access(credential, refused=refused)).key
    await tokens.close()
    await client.close()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_two_processes_that_refresh_at_once_lose_no_replaced_token(path: Path, sim: Simulator) -> None:
    stored(path, person(sim))
    sim.script(oauth=OAuth(rotate=True, delay=0.02))
    command = [sys.executable, "-c", REFRESHER, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen(command, text=True, env=dict(os.environ), **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for each in both:
        assert each.stdout.readline() == "ready\n"
    for each in both:
        each.stdin.write("go\n")
        each.stdin.flush()
    said = [each.communicate(timeout=60) for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert [each.status for each in sim.log() if each.path == "/oauth/token"] == [200] * 7


@pytest.mark.parametrize("skew", [-900.0, 900.0])
async def test_a_wrong_clock_does_not_stop_a_service_account(
    tokens: Tokens, path: Path, sim: Simulator, tmp_path: Path, skew: float, caplog: pytest.LogCaptureFixture
) -> None:
    sim.script(oauth=OAuth(skew=skew))
    assert (await tokens.access(stored(path, robot(tmp_path / "key.json", sim)))).bearer
    (warning,) = (record.message for record in caplog.records if "clock" in record.message)
    assert ("behind" if skew > 0 else "ahead") in warning


async def test_a_refused_service_account_reports_a_wrong_clock(
    tokens: Tokens, path: Path, sim: Simulator, tmp_path: Path
) -> None:
    sim.script(oauth=OAuth(skew=4050.0, fault="invalid_grant"))
    failure = await refusal(tokens, stored(path, robot(tmp_path / "key.json", sim)))
    assert failure.kind == "upstream_auth"
    assert "clock is 40" in failure.message and "set it right" in failure.message


async def test_an_account_removed_and_added_again_starts_fresh(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    first = await tokens.access(credential)
    tokens.retain([credential.id])
    assert await tokens.access(credential) == first
    tokens.retain([])
    assert await tokens.access(credential) != first


async def test_a_deleted_client_is_the_accounts_fault(tokens: Tokens, path: Path, sim: Simulator) -> None:
    credential = stored(path, person(sim))
    sim.script(oauth=OAuth(fault="invalid_client"))
    failure = await refusal(tokens, credential)
    assert failure.kind == "upstream_auth" and "The OAuth client was not found" in failure.message


async def test_a_key_file_that_went_away_is_named(tokens: Tokens, path: Path, sim: Simulator, tmp_path: Path) -> None:
    credential = stored(path, robot(tmp_path / "key.json", sim))
    (tmp_path / "key.json").unlink()
    failure = await refusal(tokens, credential)
    assert failure.kind == "upstream_auth"
    assert "key.json" in failure.message and "bm accounts verify robot" in failure.message


async def test_a_broken_private_key_is_not_quoted(tokens: Tokens, path: Path, sim: Simulator, tmp_path: Path) -> None:
    credential = stored(path, robot(tmp_path / "key.json", sim))
    document = msgspec.json.decode((tmp_path / "key.json").read_bytes())
    (tmp_path / "key.json").write_bytes(msgspec.json.encode(document | {"private_key": "planted-private-key"}))
    failure = await refusal(tokens, credential)
    assert failure.kind == "upstream_auth" and "planted" not in failure.message


async def test_default_credentials_that_are_a_service_accounts(
    tokens: Tokens, path: Path, sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot(tmp_path / "key.json", sim)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    access = await tokens.access(stored(path, Account(name="d", kind="adc", key="", location="global")))
    assert (access.bearer, access.project, access.billed) == (True, "project-one", "")


async def test_default_credentials_of_a_person_are_billed_to_a_project(
    path: Path, fetch: Fetch, sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, client = refresh_token(sim), oauth_client(sim)
    person_file = {"type": "authorized_user", "client_id": client.id, "client_secret": client.secret}
    (tmp_path / "adc.json").write_bytes(
        msgspec.json.encode(person_file | {"refresh_token": token, "quota_project_id": "project-two"})
    )
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))

    async def to_the_simulator(request: FetchRequest) -> Fetched | Failure:
        # google-auth sends a person's default credentials to Google whatever their file says.
        assert request.url == "https://oauth2.googleapis.com/token"
        return await fetch(msgspec.structs.replace(request, url=client.token_uri))

    tokens = Tokens(AccountFile(path), to_the_simulator)
    found = [
        await tokens.access(stored(path, Account(name=f"d{project}", kind="adc", key="", project=project)))
        for project in ("", "project-one")
    ]
    await tokens.close()
    assert [each.billed for each in found] == ["project-two", "project-one"]


async def test_missing_default_credentials_name_the_remedy(
    tokens: Tokens, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    failure = await refusal(tokens, stored(path, Account(name="d", kind="adc", key="")))
    assert failure.kind == "upstream_auth"
    assert "gcloud auth application-default login" in failure.message


async def test_no_token_and_no_secret_is_shown(
    tokens: Tokens, path: Path, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    account = person(sim)
    credential = stored(path, account)
    sim.script(oauth=OAuth(rotate=True))
    access = await tokens.access(credential)
    sim.script(oauth=OAuth(revoke=True))
    failure = await refusal_of(tokens, credential, access)
    assert account.client is not None
    shown = f"{caplog.text} {access!r} {credential!r} {account!r} {failure!r} {load(path)!r} {sim.log()!r}"
    for secret in (access.key, account.key, account.client.secret, load(path).accounts[0].key):
        assert secret not in shown


async def refusal_of(tokens: Tokens, credential: Credential, access: Access) -> Failure:
    with pytest.raises(TokenError) as caught:
        await tokens.access(credential, refused=access.key)
    return caught.value.failure


async def test_bm_can_stop_while_the_endpoint_is_silent(
    path: Path, fetch: Fetch, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bm.accounts.tokens.GRACE", 0.05)
    tokens = Tokens(AccountFile(path), fetch)
    credential = stored(path, person(sim))
    sim.script(oauth=OAuth(delay=30))
    waiting = asyncio.ensure_future(tokens.access(credential))
    await until(lambda: asked(sim) == 1)
    await tokens.close()
    with pytest.raises(TokenError, match="stopping"):
        await waiting
