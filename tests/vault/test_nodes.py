"""Two daemons with their accounts and keys in one database, as users see them. Real daemons, server and commands."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.accounts.credentials import load
from bm.database.connection import connect
from bm.simulator import Simulator
from tests.support.daemon import Daemon, daemon
from tests.support.postgres import Server
from tests.support.waiting import LONG, soon

PLANTED = "key-of-the-account-one"
BODY = {"model": "opus", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def config(database: str, tmp_path: Path) -> Iterator[str]:
    """The configuration of every node."""
    (tmp_path / "seal").write_text(base64.b64encode(b"o" * 32).decode())
    with Simulator() as simulator:
        seal = f'[ledger]\nurl = "{database}"\n[shared]\nseal = "file:{tmp_path / "seal"}"\n'
        yield f'[gemini]\nbase_url = "{simulator.url}"\n{seal}'


@contextmanager
def nodes(config: str, tmp_path: Path, *names: str) -> Iterator[list[Daemon]]:
    with ExitStack() as stack:
        yield [stack.enter_context(daemon(tmp_path / name, config)) for name in names]


def bm(home: Path, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A command on the machine of a node."""
    environ = {**os.environ, "BM_HOME": str(home), "BM_SERVER_PORT": "0"}
    return subprocess.run(
        [sys.executable, "-m", "bm", *words],
        env=environ,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def ask(node: Daemon, path: str, body: Any = None, *, key: str = "", method: str = "") -> httpx.Response:
    headers = {"x-api-key": key or node.key}
    method = method or ("GET" if body is None else "POST")
    with httpx.Client(base_url=node.url, headers=headers, timeout=20, trust_env=False) as client:
        return client.request(method, path, json=body)


def failures(node: Daemon) -> list[str]:
    found: list[str] = ask(node, "/admin/status").json()["failures"]
    return found


def accounts(node: Daemon) -> list[str]:
    return [row["name"] for row in ask(node, "/admin/accounts").json()["accounts"]]


def test_every_node_has_what_one_changes(config: str, tmp_path: Path) -> None:
    with nodes(config, tmp_path, "one", "two") as (one, two):
        assert one.key == two.key
        saved = ask(one, "/admin/accounts", {"name": "work", "key": PLANTED, "verify": False})
        assert saved.status_code == 200, saved.text
        assert soon(lambda: accounts(two) == ["work"], LONG)
        made = bm(tmp_path / "two", "keys", "add", "ada", "--json")
        assert made.returncode == 0, made.stderr
        key = httpx.Response(200, text=made.stdout).json()["key"]
        assert soon(lambda: ask(one, "/v1/messages", BODY, key=key).status_code == 200, LONG)
        assert ask(two, "/v1/messages", BODY, key=key).status_code == 200
        assert bm(tmp_path / "one", "keys", "revoke", "ada", "--yes").returncode == 0
        assert "keys revoke ada" in bm(tmp_path / "one", "undo", "--yes").stderr
        assert soon(lambda: ask(two, "/v1/messages", BODY, key=key).status_code == 401, LONG)
        assert ask(two, "/admin/accounts/gemini/work", {"name": "home"}, method="PATCH").status_code == 200
        assert soon(lambda: accounts(one) == ["home"], LONG)
        for node in (one, two):
            assert load(node.paths.accounts).accounts == ()
            assert not node.paths.keys.exists()
            assert PLANTED not in node.log()


def test_a_node_starts_without_an_account_that_cannot_be_opened_and_says_so(
    config: str, database: str, tmp_path: Path
) -> None:
    with nodes(config, tmp_path, "one") as (one,):
        for name in ("work", "home"):
            saved = ask(one, "/admin/accounts", {"name": name, "key": f"key-of-{name}", "verify": False})
            assert saved.status_code == 200, saved.text
    with closing(connect(database)) as connection:
        connection.execute("UPDATE bm_sealed SET data = data || 'x'::bytea WHERE name = 'work'")
    with nodes(config, tmp_path, "one") as (one,):
        words = "the account gemini/work: was changed or moved in the database"
        assert accounts(one) == ["home"] and words in one.log()
        listed, examined = (bm(tmp_path / "one", word) for word in ("accounts", "doctor"))
        assert "home" in listed.stdout and words in " ".join(listed.stderr.split())
        assert words in examined.stdout


def test_while_the_database_is_away_nodes_go_on_and_say_so(config: str, tmp_path: Path, postgres: Server) -> None:
    with nodes(config, tmp_path, "one") as (one,):
        ask(one, "/admin/accounts", {"name": "work", "key": PLANTED, "verify": False})
        postgres.kill()
        assert soon(
            lambda: "this node goes on with those it has" in str(ask(one, "/admin/status").json()["failures"]), LONG
        )
        assert ask(one, "/v1/messages", BODY).status_code == 200
        refused = ask(one, "/admin/accounts/gemini/work", {"enabled": False}, method="PATCH")
        assert "ledger.url: the database cannot be reached" in refused.text
        with one.paths.config.open("a", encoding="utf-8") as file:
            file.write('[aliases]\nfast = "gemini:haiku"\n')
        assert soon(lambda: ask(one, "/v1/messages", BODY | {"model": "fast"}).status_code == 200, LONG)
        assert accounts(one) == ["work"]
        for words in (["keys", "add", "ada"], ["restart"]):
            ran = bm(tmp_path / "one", *words)
            assert (ran.returncode, "ledger.url: the database cannot be reached" in ran.stderr) == (1, True), ran
        assert ask(one, "/v1/messages", BODY).status_code == 200
        postgres.start()
        assert soon(lambda: not failures(one), LONG)
        changed = ask(one, "/admin/accounts/gemini/work", {"enabled": False}, method="PATCH")
        assert changed.status_code == 200, changed.text


@pytest.mark.parametrize(
    ("old", "new", "words", "code"),
    [
        (r":\d+/test", ":1/test", "ledger.url: the database cannot be reached", 1),
        ("password-of-the-tests", "another", "ledger.url: the database refuses: connection failed", 2),
        ("file:", "file:/nowhere", "shared.seal: file:/nowhere", 2),
    ],
    ids=["no server", "wrong password", "no seal"],
)
def test_a_node_that_cannot_read_the_accounts_does_not_start(
    config: str, tmp_path: Path, old: str, new: str, words: str, code: int
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "config.toml").write_text(re.sub(old, new, config))
    ran = bm(tmp_path / "one", "start", "--foreground")
    assert (ran.returncode, words in ran.stderr) == (code, True), ran
    assert "password-of-the-tests" not in ran.stderr
