"""Accounts and keys in the database: two nodes change them, the server goes away and returns. Real server."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import Credential, Credentials, load, update
from bm.accounts.google import Fetch
from bm.accounts.tokens import Tokens
from bm.config.files import LockTimeout
from bm.config.paths import Paths
from bm.database.connection import connect
from bm.errors import AccountError
from bm.keys.key import Key
from bm.simulator import OAuth, Simulator
from bm.tasks import failures
from bm.vault import database as module
from bm.vault.database import DatabaseVault
from bm.vault.seal import Seal
from tests.accounts.conftest import fetch, sim
from tests.support.google import person
from tests.support.postgres import Server
from tests.support.waiting import LONG, until

__all__ = ["fetch", "sim"]

OLD, NEW = Seal([b"o" * 32]), Seal([b"n" * 32])
BOTH = Seal([b"n" * 32, b"o" * 32])
WORK = Account(name="work", key="secret-of-work")
HOME = Account(name="home", key="secret-of-home")
ADA = Key(name="ada", sha256="0" * 64)
BOB = Key(name="bob", sha256="1" * 64)

Node = Callable[..., DatabaseVault]


@pytest.fixture
def node(database: str, tmp_path: Path) -> Node:
    """Makes a node of a name, with its own folder."""

    def made(name: str = "one", seal: Seal = OLD) -> DatabaseVault:
        return DatabaseVault(database, lambda: seal, Paths.under(tmp_path / name))

    return made


def adding(account: Account) -> Callable[[Credentials], Credentials]:
    return lambda stored: stored.add(account)


def test_what_one_node_changes_another_reads(node: Node) -> None:
    one, two = node("one"), node("two")
    one.accounts.update(adding(WORK))
    two.keys.update(lambda stored: stored.add(ADA))
    for each in (one, two):
        assert each.accounts.load().accounts == (WORK,)
        assert each.keys.load().keys == (ADA,)


def test_changes_at_once_are_made_one_after_another(node: Node) -> None:
    def add(number: int) -> None:
        node(f"node-{number % 4}").accounts.update(adding(Account(name=f"a{number}", key=f"secret-{number}")))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(16)))
    assert {each.name for each in node().accounts.load().accounts} == {f"a{number}" for number in range(16)}


def test_a_change_that_fails_changes_nothing(node: Node) -> None:
    node().accounts.update(adding(WORK))
    with pytest.raises(AccountError, match="already has an account named 'work'"):
        node().accounts.update(adding(WORK))
    assert node().accounts.load().accounts == (WORK,)


def test_bms_own_key_is_that_of_the_first_node_and_copied_to_all(node: Node, tmp_path: Path) -> None:
    files = [Paths.under(tmp_path / name).accounts for name in ("one", "two", "three")]
    for name, file in (("own-key-of-one", files[0]), ("own-key-of-two", files[1])):
        update(file, lambda stored, key=name: msgspec.structs.replace(stored, local_key=key))  # type: ignore[misc]
    keys = {node(name).local_key() for name in ("one", "two", "three")}
    assert keys == {"own-key-of-one"} == {load(file).local_key for file in files}


def test_accounts_in_the_file_of_a_node_are_not_used_and_that_is_said(node: Node, tmp_path: Path) -> None:
    update(Paths.under(tmp_path / "one").accounts, adding(WORK))
    found = node("one").accounts.load()
    assert found.accounts == ()
    assert "its 1 accounts are not used, but those in postgresql://127.0.0.1:" in found.warnings[0]


def test_one_node_at_a_time_refreshes_a_token(node: Node) -> None:
    one, two = node("one").accounts, node("two").accounts
    with one.refreshing(WORK.id, 1):
        with two.refreshing(("gemini", "home"), 1):
            pass
        with pytest.raises(LockTimeout), two.refreshing(WORK.id, 0):
            pass
    with two.refreshing(WORK.id, 0):
        pass


def test_a_refresh_survives_the_loss_of_its_connection(node: Node, database: str) -> None:
    with node().accounts.refreshing(WORK.id, 1), closing(connect(database)) as other:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        other.execute(query + " AND datname = current_database()")


async def test_two_nodes_that_refresh_at_once_lose_no_replaced_token(node: Node, sim: Simulator, fetch: Fetch) -> None:
    account = person(sim)
    node().accounts.update(adding(account))
    sim.script(oauth=OAuth(rotate=True, delay=0.02))
    both = [Tokens(node(name).accounts, fetch) for name in ("one", "two")]

    async def refresh(tokens: Tokens) -> None:
        refused = ""
        for _ in range(3):
            refused = (await tokens.access(Credential(account=account), refused=refused)).key

    await asyncio.gather(*map(refresh, both))
    for tokens in both:
        await tokens.close()
    assert [each.status for each in sim.log() if each.path == "/oauth/token"] == [200] * 7


async def test_a_token_replaced_while_the_server_is_away_is_stored_afterwards(
    node: Node, sim: Simulator, fetch: Fetch, postgres: Server
) -> None:
    account, one = person(sim), node()
    one.accounts.update(adding(account))
    one.accounts.load()
    sim.script(oauth=OAuth(rotate=True))
    tokens = Tokens(one.accounts, fetch)
    postgres.kill()
    assert (await tokens.access(Credential(account=account))).bearer
    postgres.start()
    await tokens.close()
    (stored,) = node("two").accounts.load().accounts
    assert stored.key != account.key
    again = Tokens(node("two").accounts, fetch)
    assert (await again.access(Credential(account=account))).bearer
    await again.close()


def test_another_seal_is_an_error_that_names_the_setting(node: Node) -> None:
    node().accounts.update(adding(WORK))
    acts: list[Callable[[DatabaseVault], object]] = [
        lambda vault: vault.accounts.load(),
        lambda vault: vault.accounts.update(adding(WORK)),
        lambda vault: vault.reseal(),
    ]
    for act in acts:
        with pytest.raises(AccountError, match=f"shared.seal: the account gemini/work is sealed with the key {OLD.id}"):
            act(node("two", NEW))


def damage(database: str, name: str, data: bytes = b"\1" + bytes(40)) -> bytes:
    """Replace what is sealed in a row. Returns what was there."""
    with closing(connect(database)) as connection:
        row = connection.execute("SELECT data FROM bm_sealed WHERE name = %s", (name,)).fetchone()
        connection.execute("UPDATE bm_sealed SET data = %s WHERE name = %s", (data, name))
        assert row is not None
        return bytes(row[0])


def test_a_row_that_cannot_be_opened_is_reported_and_stays(node: Node, database: str) -> None:
    writer = node()
    for account in (WORK, HOME):
        writer.accounts.update(adding(account))
    for key in (ADA, BOB):
        writer.keys.update(lambda stored, key=key: stored.add(key))  # type: ignore[misc]
    work, ada = damage(database, "work"), damage(database, "ada")
    fresh = node("two")
    stored, clients = fresh.accounts.load(), fresh.keys.load()
    assert (stored.accounts, clients.keys) == ((HOME,), (BOB,))
    assert "is not used: the account gemini/work: was changed or moved" in stored.warnings[0]
    assert "is not used: the key ada: was changed or moved" in clients.warnings[0]
    fresh.accounts.update(adding(Account(name="more", key="secret-of-more")))
    for change in (lambda: fresh.accounts.update(adding(WORK)), fresh.reseal):
        with pytest.raises(AccountError, match="the account gemini/work: was changed or moved"):
            change()
    before = fresh.stamp()
    damage(database, "work", work)
    damage(database, "ada", ada)
    assert {each.name for each in fresh.accounts.load().accounts} == {"work", "home", "more"}
    assert (fresh.keys.load().keys, fresh.keys.load().warnings) == ((ADA, BOB), ())
    assert fresh.stamp() != before


def test_a_node_goes_on_with_an_account_that_it_has_read_before(node: Node, database: str) -> None:
    running = node()
    running.local_key()
    for account in (WORK, HOME):
        running.accounts.update(adding(account))
    running.accounts.load()
    damage(database, "work")
    node("two").accounts.update(lambda stored: stored.remove(HOME.id))
    found = running.accounts.load()
    assert found.accounts == (WORK,) and len(found.warnings) == 1


def test_where_no_row_or_not_bms_own_key_can_be_opened_nothing_is_read(node: Node, database: str) -> None:
    node().accounts.update(adding(WORK))
    work = damage(database, "work")
    with pytest.raises(AccountError, match="the account gemini/work: was changed or moved"):
        node("two").accounts.load()
    damage(database, "work", work)
    node().local_key()
    damage(database, "")
    with pytest.raises(AccountError, match="the main: was changed or moved"):
        node("two").accounts.load()


def test_the_seal_is_replaced(node: Node) -> None:
    node().accounts.update(adding(WORK))
    node().keys.update(lambda stored: stored.add(ADA))
    assert len(node("two", BOTH).reseal().rows) == 2
    found = node("three", NEW)
    assert (found.accounts.load().accounts, found.keys.load().keys) == ((WORK,), (ADA,))
    with pytest.raises(AccountError, match=f"sealed with the key {NEW.id}, not with {OLD.id}"):
        node().accounts.load()


@asynccontextmanager
async def followed(vault: DatabaseVault) -> AsyncIterator[None]:
    """Let a node follow the changes of others, as a daemon does."""
    vault.accounts.load()
    task = asyncio.ensure_future(vault.watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_change_is_noticed_by_notification(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 60.0)
    one, two = node("one"), node("two")
    async with followed(two):
        before = two.stamp()
        await until(lambda: any(each.name == "bm-accounts" for each in threading.enumerate()), LONG)
        one.accounts.update(adding(WORK))
        await until(lambda: two.stamp() != before, LONG)


async def test_while_the_server_is_away_a_node_goes_on_and_changes_nothing(
    node: Node, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.05)
    one = node()
    one.accounts.update(adding(WORK))
    async with followed(one):
        postgres.kill()
        await until(lambda: one.problem, LONG)
        assert one.accounts.load().accounts == (WORK,)
        assert any("this node goes on with those it has" in each for each in failures())
        with pytest.raises(AccountError, match=r"ledger\.url: the database cannot be reached"):
            one.accounts.update(adding(Account(name="home", key="secret-of-home")))
        with pytest.raises(AccountError, match=r"ledger\.url: the database cannot be reached") as caught:
            node("two").accounts.load()
        assert caught.value.passes
        with pytest.raises(AccountError), one.accounts.refreshing(WORK.id, 0):
            pass
        postgres.start()
        await until(lambda: not one.problem, LONG)
        assert not failures()
        before = one.stamp()
        node("two").accounts.update(adding(Account(name="home", key="secret-of-home")))
        await until(lambda: one.stamp() != before, LONG)
    assert [each.name for each in one.accounts.load().accounts] == ["work", "home"]


async def test_a_server_that_stands_still_is_away(
    node: Node, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.05)
    monkeypatch.setattr(module, "SILENCE", 0.2)
    one = node()
    one.accounts.update(adding(WORK))
    assert postgres.process is not None
    main = psutil.Process(postgres.process.pid)
    async with followed(one):
        before = one.stamp()
        node("two").accounts.update(adding(Account(name="home", key="secret-of-home")))
        await until(lambda: one.stamp() != before, LONG)
        family = [main, *main.children(recursive=True)]
        for each in family:
            each.suspend()
        try:
            await until(lambda: one.problem, LONG)
        finally:
            for each in family:
                each.resume()
        await until(lambda: not one.problem, LONG)


async def test_a_node_without_the_new_seal_goes_on_until_it_has_it(
    node: Node, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY", 0.05)
    seals = [OLD]
    one = DatabaseVault(database, lambda: seals[0], Paths.under(tmp_path / "one"))
    one.accounts.update(adding(WORK))
    async with followed(one):
        node("two", BOTH).reseal()
        await until(lambda: one.problem, LONG)
        assert f"sealed with the key {NEW.id}" in one.problem
        assert one.accounts.load().accounts == (WORK,)
        seals[0] = NEW
        await until(lambda: not one.problem, LONG)


def test_no_secret_is_shown(database: str, tmp_path: Path) -> None:
    vault = DatabaseVault(database, lambda: OLD, Paths.under(tmp_path))
    vault.accounts.update(adding(WORK))
    shown = f"{vault.place} {vault.__dict__['_held']} {OLD!r} {vault.accounts.load()!r}"
    assert base64.b64encode(b"o" * 32).decode() not in shown
    assert "password-of-the-tests" not in shown
