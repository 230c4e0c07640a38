"""`bm accounts export`, `import`, `move` and `reseal`."""

from __future__ import annotations

import base64
from pathlib import Path

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.config.paths import Paths
from bm.database.connection import place_of
from tests.cli.conftest import PLANTED, Bm

SEALING = "a long passphrase"


def test_an_export_with_a_passphrase_is_imported(bm: Bm, paths: Paths, tmp_path: Path) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin=PLANTED)
    file = tmp_path / "export.json"
    ran = bm("accounts", "export", str(file), stdin=f"{SEALING}\n")
    assert (ran.code, ran.out) == (0, f"{file}: 1 accounts\n")
    assert PLANTED not in file.read_text() + ran.err
    bm("accounts", "remove", "one", "--yes")
    assert bm("accounts", "import", str(file), stdin="another passphrase\n").code == 2
    assert bm("accounts", "import", str(file), stdin=f"{SEALING}\n").out == "1 accounts added: one\n"
    assert load(paths.accounts).accounts[0].key == PLANTED
    again = bm("accounts", "import", str(file), stdin=f"{SEALING}\n")
    assert (again.code, again.out) == (0, "0 accounts added\n")
    assert again.err == "left out one: one of gemini has this key already\n"


def test_an_export_needs_a_passphrase(bm: Bm, tmp_path: Path) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin=PLANTED)
    file = tmp_path / "export.json"
    for passphrase in ("", "\n", "short\n"):
        assert bm("accounts", "export", str(file), stdin=passphrase).code == 2
        assert not file.exists()


def test_a_list_of_keys_is_imported(bm: Bm, paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "keys.csv").write_text(f"one,{PLANTED}\ntwo,{PLANTED}-2\n")
    assert bm("accounts", "import", str(tmp_path / "keys.csv"), "--provider", "groq").code == 0
    assert [each.id for each in load(paths.accounts).accounts] == [("groq", "one"), ("groq", "two")]
    (tmp_path / "keys.csv").write_text(PLANTED)
    ran = bm("accounts", "import", str(tmp_path / "keys.csv"))
    assert ran.code == 2 and "line 1" in ran.err and PLANTED not in ran.err


def in_database(paths: Paths, database: str, *seals: str) -> None:
    """Have the configuration keep accounts and keys in a database, sealed with keys of these letters."""
    files = []
    for letter in seals or ("o",):
        file = paths.config.with_name(f"seal-{letter}")
        file.write_text(base64.b64encode(letter.encode() * 32).decode())
        files.append(f'"file:{file}"')
    lines = f'[ledger]\nurl = "{database}"\n[shared]\nseal = [{", ".join(files)}]\n'
    paths.config.write_text(lines)


def test_accounts_and_keys_move_to_the_database_once(bm: Bm, paths: Paths, database: str) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin=PLANTED)
    bm("accounts", "add", "two", "--no-verify", stdin=f"{PLANTED}-2")
    secret = bm("keys", "add", "ada", "--json").json["key"]
    assert "accounts and keys are in files: set ledger.url and shared.seal first" in bm("accounts", "move").err
    in_database(paths, database)
    before = load(paths.accounts).accounts
    ran = bm("accounts", "move")
    assert (ran.code, ran.out) == (0, f"2 accounts and 1 keys copied to {place_of(database)}\n")
    assert ran.err.endswith(
        "accounts.toml still holds the accounts, which are no longer used: bm accounts move --remove\n"
    )
    assert load(paths.accounts).accounts == before
    assert [row["name"] for row in bm("accounts", "--json").json["accounts"]] == ["one", "two"]
    assert [row["hint"] for row in bm("keys", "--json").json["keys"]] == [f"{secret[:4]}…{secret[-4:]}"]
    ran = bm("accounts", "move", "--remove")
    assert ran.out.splitlines() == [
        f"0 accounts and 0 keys copied to {place_of(database)}, 3 were there already",
        "3 removed from accounts.toml and keys.toml",
    ]
    assert load(paths.accounts).accounts == ()
    assert [row["name"] for row in bm("accounts", "--json").json["accounts"]] == ["one", "two"]


def test_the_files_are_kept_until_the_daemon_uses_the_database(bm: Bm, paths: Paths, database: str) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin=PLANTED)
    assert bm("start").code == 0
    in_database(paths, database)
    ran = bm("accounts", "move", "--remove")
    assert (ran.code, "the daemon still uses the files: bm restart first" in ran.err) == (2, True)
    assert f"note: accounts and keys are used from {place_of(database)} after: bm restart" in bm("status").err
    ran = bm("accounts", "move")
    assert ran.err == "the daemon still uses the files: bm restart, then bm accounts move --remove\n"
    assert ran.code == bm("restart").code == bm("accounts", "move", "--remove").code == 0
    assert "bm restart" not in bm("status").err
    assert [row["name"] for row in bm("accounts", "--json").json["accounts"]] == ["one"]


def test_what_the_database_has_otherwise_is_left_out_and_stays_in_the_file(bm: Bm, paths: Paths, database: str) -> None:
    in_database(paths, database)
    bm("accounts", "add", "one", "--no-verify", stdin=f"{PLANTED}-of-another")
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key=PLANTED)))
    ran = bm("accounts", "move", "--remove")
    assert ran.out.startswith("0 accounts and 0 keys copied") and ran.out.endswith(
        "0 removed from accounts.toml and keys.toml\n"
    )
    assert "left out one: gemini already has an account named 'one'\n" in ran.err
    assert load(paths.accounts).accounts[0].key == PLANTED


def test_commands_change_the_database_and_no_file(bm: Bm, paths: Paths, database: str) -> None:
    in_database(paths, database)
    assert bm("accounts", "add", "one", "--no-verify", stdin=PLANTED).code == 0
    assert bm("accounts", "rename", "one", "first").code == 0
    assert bm("accounts", "order", "first", "--tier", "3").code == 0
    assert bm("accounts", "disable", "first").code == 0
    (row,) = bm("accounts", "--json").json["accounts"]
    assert (row["name"], row["tier"], row["state"]) == ("first", 3, "off")
    assert bm("keys", "add", "ada", "--rpm", "5").code == 0
    assert bm("keys", "change", "ada", "--rpm", "7").code == 0
    assert bm("keys", "--json").json["keys"][0]["rpm"] == 7
    assert bm("keys", "revoke", "ada", "--yes").code == bm("accounts", "remove", "first", "--yes").code == 0
    assert bm("accounts", "--json").json["accounts"] == bm("keys", "--json").json["keys"] == []
    assert not paths.keys.exists()
    assert load(paths.accounts).accounts == ()


def test_the_seal_is_replaced(bm: Bm, paths: Paths, database: str) -> None:
    in_database(paths, database, "o")
    bm("accounts", "add", "one", "--no-verify", stdin=PLANTED)
    in_database(paths, database, "n")
    ran = bm("accounts", "reseal")
    assert ran.code == 2 and "shared.seal: the account gemini/one is sealed with the key" in ran.err
    in_database(paths, database, "n", "o")
    assert bm("accounts", "reseal").out == "1 accounts and 0 keys are sealed with the first key of shared.seal\n"
    in_database(paths, database, "n")
    assert bm("accounts", "--json").json["accounts"][0]["name"] == "one"
