"""What is copied from the files into the database, and what may be removed from them. Real server."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bm.accounts.account import Account, OAuthClient
from bm.config.paths import Paths
from bm.keys.key import Key
from bm.vault.database import DatabaseVault
from bm.vault.move import Moved, move, remove_moved
from bm.vault.seal import Seal
from bm.vault.vault import FileVault

WORK = Account(name="work", key="secret-of-work", tier=2)
ME = Account(name="me", kind="google_oauth", key="first-token", client=OAuthClient(id="client"), project="project")
ADA, BOB = (Key(name=name, sha256=digit * 64) for name, digit in (("ada", "1"), ("bob", "2")))


@pytest.fixture
def files(tmp_path: Path) -> FileVault:
    found = FileVault(Paths.under(tmp_path))
    found.accounts.update(lambda stored: stored.add(WORK).add(ME))
    found.keys.update(lambda stored: stored.add(ADA).add(BOB))
    return found


@pytest.fixture
def there(database: str, tmp_path: Path) -> DatabaseVault:
    return DatabaseVault(database, lambda: Seal([b"o" * 32]), Paths.under(tmp_path))


def test_everything_is_copied_once(files: FileVault, there: DatabaseVault) -> None:
    own = files.local_key()
    assert move(files, there) == Moved(2, 2, 0, ())
    assert move(files, there) == Moved(0, 0, 4, ())
    assert (there.accounts.load().accounts, there.keys.load().keys) == ((WORK, ME), (ADA, BOB))
    assert there.local_key() == own


def test_another_account_or_key_of_the_name_is_left_out(files: FileVault, there: DatabaseVault) -> None:
    other = msgspec.structs.replace(WORK, key="another-secret")
    there.accounts.update(lambda stored: stored.add(other))
    there.keys.update(lambda stored: stored.add(msgspec.structs.replace(ADA, sha256="3" * 64)))
    moved = move(files, there)
    assert (moved.accounts, moved.keys, moved.present) == (1, 1, 0)
    assert [each.partition(":")[0] for each in moved.left_out] == ["work", "ada"]
    assert there.accounts.load().find("work") == other
    assert remove_moved(files, there) == 2
    assert (files.accounts.load().accounts, files.keys.load().keys) == ((WORK,), (ADA,))


def test_a_sign_in_whose_token_was_replaced_is_there_already(files: FileVault, there: DatabaseVault) -> None:
    move(files, there)
    newer = msgspec.structs.replace(ME, key="second-token")
    there.accounts.update(lambda stored: stored.change(newer))
    assert move(files, there) == Moved(0, 0, 4, ())
    assert there.accounts.load().find("me") == newer
    own = files.local_key()
    assert remove_moved(files, there) == 4
    assert (files.accounts.load().accounts, files.keys.load().keys, files.local_key()) == ((), (), own)
