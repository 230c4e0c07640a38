"""Exports need their passphrase; imports replace nothing."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credentials import Credentials
from bm.accounts.transfer import accounts_in, exported, is_sealed, merged, read_import, write_export
from bm.errors import AccountError

SECRET = "planted-secret-value"
PASSPHRASE = "correct horse"
ACCOUNTS = (
    Account(name="a", key=SECRET, project="p-1", added_at=datetime(2026, 1, 2, tzinfo=UTC)),
    Account(
        name="me",
        kind="google_oauth",
        key="planted-refresh-token",
        project="p-2",
        location="global",
        client=OAuthClient(id="client", secret="planted-client-secret"),
    ),
    Account(name="g", provider="groq", key="env:GROQ"),
)
STORED = Credentials(local_key="bm-local", accounts=ACCOUNTS)


@pytest.fixture(scope="module")
def export() -> bytes:
    return exported(STORED, PASSPHRASE)


def test_a_sealed_export_opens_with_its_passphrase(export: bytes) -> None:
    assert is_sealed(export)
    assert accounts_in(export, PASSPHRASE) == ACCOUNTS


def test_an_encrypted_export_reveals_nothing(export: bytes) -> None:
    for secret in (SECRET, "planted", "bm-local", "p-1", '"a"'):
        assert secret.encode() not in export
    assert exported(STORED, PASSPHRASE) != export


@pytest.mark.parametrize("passphrase", ["", "Correct horse", "correct horse "])
def test_another_passphrase_opens_nothing(export: bytes, passphrase: str) -> None:
    with pytest.raises(AccountError, match="passphrase is wrong"):
        accounts_in(export, passphrase)


@pytest.mark.parametrize("member", ["salt", "nonce", "data", "cost"])
def test_an_export_that_was_changed_opens_no_more(export: bytes, member: str) -> None:
    document = msgspec.json.decode(export)
    old = document["sealed"][member]
    document["sealed"][member] = old * 2 if member == "cost" else ("B" if old[0] == "A" else "A") + old[1:]
    with pytest.raises(AccountError, match="damaged"):
        accounts_in(msgspec.json.encode(document), PASSPHRASE)


@pytest.mark.parametrize("cost", [0, 3, 2**40])
def test_an_export_cannot_demand_any_amount_of_work(export: bytes, cost: int) -> None:
    document = msgspec.json.decode(export)
    document["sealed"]["cost"] = cost
    with pytest.raises(AccountError, match="damaged"):
        accounts_in(msgspec.json.encode(document), PASSPHRASE)


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(AccountError, match="at least 8"):
        exported(STORED, "short")


def test_an_export_is_private_and_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    write_export(path, b"content")
    assert read_import(path) == b"content"
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(AccountError, match="exists already"):
        write_export(path, b"other")
    with pytest.raises(AccountError, match="cannot be written"):
        write_export(tmp_path / "no" / "folder", b"")
    with pytest.raises(AccountError, match="cannot be read"):
        read_import(tmp_path)


def test_a_list_of_keys() -> None:
    text = b"\xef\xbb\xbf# my keys\nName, Key\n\none, key-1 \ntwo,env:TWO\r\n three,key,with,commas\n"
    text += b'"four","cmd:pass ""my keys"""\n'
    assert accounts_in(text, "", "groq") == (
        Account(name="one", provider="groq", key="key-1"),
        Account(name="two", provider="groq", key="env:TWO"),
        Account(name="three", provider="groq", key="key,with,commas"),
        Account(name="four", provider="groq", key='cmd:pass "my keys"'),
    )


BROKEN = {
    "no comma": (f"one,k\n{SECRET}\n".encode(), "line 2: is not `name,key`"),
    "no key": (b"one,\n", "line 1: account one: its key is empty"),
    "a bad name": (f"a/b,{SECRET}".encode(), "line 1: .*cannot be the name"),
    "no text": (b"\xff\xfe\x00", "neither an export"),
    "another JSON": (f'{{"key": "{SECRET}"}}'.encode(), "not an export of bm"),
    "another format": (b'{"format": "other"}', "not an export of bm"),
    "a newer one": (b'{"format": "better-manager accounts", "version": 2}', "newer bm"),
    "nothing in it": (b'{"format": "better-manager accounts"}', "damaged"),
    "accounts in the clear": (
        f'{{"format": "better-manager accounts", "accounts": [{{"name": "a", "key": "{SECRET}"}}]}}'.encode(),
        "damaged",
    ),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_invalid_lists_are_refused_without_quoting_them(content: bytes, message: str) -> None:
    with pytest.raises(AccountError, match=message) as caught:
        accounts_in(content, "")
    assert SECRET not in str(caught.value)


def test_an_invalid_account_in_an_export_is_refused() -> None:
    stored = Credentials(local_key="bm-local", accounts=(Account(name="a/b", key=SECRET),))
    with pytest.raises(AccountError, match="cannot be the name"):
        accounts_in(exported(stored, PASSPHRASE), PASSPHRASE)


def test_an_import_adds_new_accounts_and_keeps_existing_ones() -> None:
    there = Credentials(local_key="mine", accounts=(Account(name="a", key="another"), Account(name="x", key=SECRET)))
    found = merged(there, (*ACCOUNTS, Account(name="a", key="third")))
    assert found.added == ("me", "g", "a-2")
    assert found.skipped == ("a: x of gemini has this key already",)
    assert found.credentials.local_key == "mine"
    assert found.credentials.accounts[:2] == there.accounts
    assert merged(found.credentials, ACCOUNTS).added == ()
