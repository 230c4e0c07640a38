"""The accounts and keys in the files of one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.config.paths import Paths
from bm.config.schema import Config
from bm.errors import AccountError
from bm.keys.key import Key
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


def test_a_daemon_does_not_go_on_without_its_file(paths: Paths) -> None:
    held = open_vault(paths, Config(), {})
    held.local_key()
    assert open_vault(paths, Config(), {}, held) is held
    paths.accounts.unlink()
    with pytest.raises(AccountError, match="is gone; put it back"):
        open_vault(paths, Config(), {}, held)
