"""`bm undo`: the last command that changed the configuration or the accounts is taken back."""

from __future__ import annotations

import stat
import sys

import pytest

from bm.accounts.credentials import ensure_local_key, load, update
from bm.cli import changes
from bm.config.paths import Paths
from tests.cli.conftest import PLANTED, Bm


def content(paths: Paths) -> dict[str, str | None]:
    """Both files as they are."""
    return {file.name: file.read_text() if file.exists() else None for file in (paths.config, paths.accounts)}


@pytest.mark.parametrize(
    "words",
    [
        ("config", "set", "pool.max_wait", "10"),
        ("config", "unset", "server.drain"),
        ("accounts", "remove", "one", "--yes"),
        ("accounts", "rename", "one", "two"),
        ("accounts", "add", "new", "--no-verify"),
        ("providers", "mode", "groq", "fallback"),
        ("providers", "use", "groq", "--no-verify"),
        ("providers", "remove", "xai", "--yes"),
    ],
)
def test_a_change_is_undone_whole(bm: Bm, paths: Paths, words: tuple[str, ...]) -> None:
    paths.config.write_text("# mine\n[server]\ndrain = 3\n[providers.xai]\n")
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("providers", "key", "xai", "--no-verify", stdin="key-of-xai")
    ensure_local_key(paths.accounts)
    before = content(paths)
    assert bm(*words, stdin=PLANTED).code == 0
    assert content(paths) != before
    ran = bm("undo", "--yes")
    assert (ran.code, content(paths)) == (0, before)
    assert ran.out.startswith("undone: bm " + " ".join(words[:2]))
    assert bm("undo", "--yes") == (0, "there is nothing to undo\n", "")


def test_a_file_that_was_not_there_is_removed_again(bm: Bm, paths: Paths) -> None:
    bm("config", "set", "pool.max_wait", "10")
    assert bm("undo", stdin="y\n").out == "undone: bm config set pool.max_wait\n"
    assert not paths.config.exists()


def test_it_asks_and_names_what_it_undoes(bm: Bm, paths: Paths) -> None:
    bm("config", "set", "providers.acme.headers.Authorization", PLANTED)
    bm("config", "set", "pool.max_wait", "10")
    ran = bm("undo", stdin="n\n")
    assert (ran.code, ran.out) == (1, "")
    assert paths.config.exists()
    assert bm("undo").err.startswith("error: Undo 'bm config set pool.max_wait' of ")


def test_a_file_that_was_changed_since_stays(bm: Bm, paths: Paths) -> None:
    bm("providers", "use", "groq", "--no-verify", stdin=PLANTED)
    update(paths.accounts, lambda stored: stored.remove(("groq", "main")))
    before = content(paths)
    ran = bm("undo", "--yes")
    assert (ran.code, content(paths)) == (1, before)
    assert f"{paths.accounts} was changed since 'bm providers use groq --no-verify'" in ran.err


def test_a_command_that_changes_nothing_keeps_the_record(bm: Bm, paths: Paths) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    for words in (("accounts", "disable", "none"), ("config", "set", "server.port", "x"), ("status",)):
        bm(*words)
    bm("undo", "--yes")
    assert load(paths.accounts).accounts == ()


def test_the_record_holds_no_key_that_the_command_did_not_change(bm: Bm, paths: Paths) -> None:
    for name in ("one", "two", "three"):
        bm("accounts", "add", name, "--no-verify", stdin=f"key-of-{name}")
    bm("accounts", "remove", "two", "--yes")
    kept = paths.accounts.with_name("undo.json").read_text()
    assert [name for name in ("one", "two", "three") if f"key-of-{name}" in kept] == ["two"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_the_record_is_private_and_a_damaged_one_is_ignored(bm: Bm, paths: Paths) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    file = paths.accounts.with_name("undo.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_text("{")
    assert changes.last(paths) is None


def test_a_change_in_a_database_is_not_undone_nor_the_one_before_it(bm: Bm, paths: Paths) -> None:
    assert bm("config", "set", "pool.max_wait", "7").code == 0
    before = paths.config.read_text()
    changes.note_database(paths, "postgresql://db.example/bm", "bm keys revoke ada")
    ran = bm("undo", "--yes")
    assert (ran.code, ran.out) == (1, "") and "changed postgresql://db.example/bm, not a file" in " ".join(
        ran.err.split()
    )
    assert paths.config.read_text() == before
