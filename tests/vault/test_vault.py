"""The accounts and keys in the files of one machine."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.config.paths import Paths
from bm.config.schema import Config, Ledger, Shared
from bm.errors import AccountError
from bm.keys.key import Key
from bm.vault.database import DatabaseVault
from bm.vault.vault import FileVault, open_vault


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path)


def test_bms_own_key_is_made_once(paths: Paths) -> None:
    assert open_vault(paths, Config(), {}).local_key() == open_vault(paths, Config(), {}).local_key()


def test_its_stamp_tells_of_every_change(paths: Paths) -> None:
    vault = FileVault(paths)
    stamps = [vault.stamp()]
    vault.accounts.update(lambda stored: stored.add(Account(name="work", key="a-key")))
    stamps.append(vault.stamp())
    vault.keys.update(lambda stored: stored.add(Key(name="ada", sha256="0" * 64)))
    stamps.append(vault.stamp())
    assert len(set(stamps)) == 3


def test_a_running_daemon_goes_on_with_its_vault_and_takes_another_seal(paths: Paths) -> None:
    files = open_vault(paths, Config(), {})
    files.local_key()
    keys = {name: base64.b64encode(name.encode() * 32).decode() for name in "on"}
    ledger = Ledger(url="postgresql://db.example/bm")
    old, new = (Config(ledger=ledger, shared=Shared(seal=f"env:{name}")) for name in "on")
    assert open_vault(paths, old, keys, files) is files
    held = open_vault(paths, old, keys)
    assert isinstance(held, DatabaseVault)
    before = held.seal().id
    for config in (Config(), new):
        assert open_vault(paths, config, keys, held) is held
    assert held.seal().id != before


def test_a_daemon_does_not_go_on_without_its_file(paths: Paths) -> None:
    held = open_vault(paths, Config(), {})
    held.local_key()
    assert open_vault(paths, Config(), {}, held) is held
    paths.accounts.unlink()
    with pytest.raises(AccountError, match="is gone; put it back"):
        open_vault(paths, Config(), {}, held)
