"""keys.toml: only digests, private, changed under a lock, never overwritten when it cannot be read."""

from __future__ import annotations

import stat
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from bm.errors import AccountError
from bm.keys.file import StoredKeys, load, new_key, update
from bm.keys.key import Key, digest

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


def test_a_key_is_stored_with_its_limits_and_without_its_secret(path: Path) -> None:
    limits = Key(
        name="ci",
        models=("claude-*",),
        providers=("groq",),
        rpm=5,
        tpm=1000,
        budgets=("20/day",),
        expires_at=NOW + timedelta(days=1),
    )
    made = new_key(limits, NOW)
    update(path, lambda stored: stored.add(made.stored))
    assert load(path).keys == (made.stored,)
    assert made.stored.sha256 == digest(made.secret).hex()
    assert made.secret.startswith("bm-") and len(made.secret) == 46
    assert made.secret not in path.read_text()
    assert made.stored.hint == f"{made.secret[:4]}…{made.secret[-4:]}"
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_file_that_others_can_change_is_made_private(path: Path) -> None:
    update(path, lambda stored: stored.add(new_key(Key(name="ci"), NOW).stored))
    path.chmod(0o666)
    assert "(mode 666)" in load(path).warnings[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load(path).warnings == ()


def test_two_secrets_are_never_the_same(path: Path) -> None:
    key = Key(name="ci")
    assert new_key(key, NOW).secret != new_key(key, NOW).secret


def test_a_missing_file_has_no_keys(path: Path) -> None:
    assert load(path) == StoredKeys()
    assert not path.exists()


def test_names_are_unique_and_near_ones_are_named(path: Path) -> None:
    stored = StoredKeys().add(new_key(Key(name="laptop"), NOW).stored)
    with pytest.raises(AccountError, match="already"):
        stored.add(new_key(Key(name="laptop"), NOW).stored)
    with pytest.raises(AccountError, match='did you mean "laptop"'):
        stored.revoke("labtop")
    assert stored.revoke("laptop") == StoredKeys()


def test_changes_at_the_same_time_are_all_kept(path: Path) -> None:
    def add(number: int) -> None:
        update(path, lambda stored: stored.add(new_key(Key(name=f"k{number}"), NOW).stored))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in load(path).keys} == {f"k{number}" for number in range(8)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "empty"),
        ("keys = 3\n", "not a list"),
        ("[[keys]]\nname = 3\n", r"key number 1 \(line 1\)"),
        ("x = [\n", "not valid TOML"),
        ('[[keys]]\nname = "a"\nsha256 = "short"\n', "hexadecimal"),
        ("\ufeff# \ud800", "UTF-8"),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(path: Path, text: str, problem: str) -> None:
    content = text.encode("utf-8", "surrogatepass")
    path.write_bytes(content)
    with pytest.raises(AccountError, match=problem) as raised:
        update(path, lambda stored: stored.add(new_key(Key(name="ci"), NOW).stored))
    assert str(path) in str(raised.value)
    assert path.read_bytes() == content


def test_a_key_that_a_newer_version_restricts_is_kept_but_not_accepted(path: Path) -> None:
    row = msgspec.to_builtins(new_key(Key(name="new"), NOW).stored)
    path.write_text(f'[[keys]]\nname = "new"\nsha256 = "{row["sha256"]}"\ncountries = ["CH"]\n')
    assert load(path).keys == ()
    assert "new" in load(path).warnings[0]
    with pytest.raises(AccountError, match="already"):
        update(path, lambda stored: stored.add(new_key(Key(name="new"), NOW).stored))
    update(path, lambda stored: stored.add(new_key(Key(name="ci"), NOW).stored))
    assert 'countries = [\n    "CH",\n]' in path.read_text()
    update(path, lambda stored: stored.revoke("new"))
    assert "countries" not in path.read_text()
