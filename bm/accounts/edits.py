"""What people change of the stored accounts: a new one, a new key, on or off, verified. Nothing here reads a clock."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from datetime import datetime

import msgspec

from bm.accounts.account import MAIN_NAME, Account
from bm.accounts.credentials import Credentials
from bm.dispatch.target import AccountId
from bm.errors import AccountError


def begun(account: Account, now: datetime) -> Account:
    """A new account, with the time at which it was added."""
    return msgspec.structs.replace(account, added_at=now, renewed_at=now)


def refuse_without_key(account: Account) -> None:
    """Refuse an account of a kind that has no key.

    Raises:
        AccountError: it is one.
    """
    if account.kind != "api_key":
        name = shlex.quote(account.name)
        remedy = f"bm accounts login {name}" if account.kind == "google_oauth" else "bm accounts remove, add"
        raise AccountError(f"{account.name} has no key but is of the kind {account.kind} ({remedy})")


def with_key(account: Account, key: str, now: datetime) -> Account:
    """The account with another key. It is used again if it was off or disabled."""
    return msgspec.structs.replace(account, key=key, renewed_at=now, enabled=True)


def switched(account: Account, now: datetime, *, on: bool) -> Account:
    """The account on or off. Earlier refusals of one that is switched on are void."""
    if on:
        return msgspec.structs.replace(account, enabled=True, renewed_at=now)
    return msgspec.structs.replace(account, enabled=False)


def main_account(provider: str, key: str, now: datetime) -> Account:
    """The account that a provider's key becomes where none is named."""
    return begun(Account(name=MAIN_NAME, provider=provider, key=key), now)


def put(stored: Credentials, account: Account) -> Credentials:
    """A copy with the account, in place of the one that has its name.

    Raises:
        AccountError: `account.check` refuses it, or another one has its key.
    """
    known = any(each.id == account.id for each in stored.accounts)
    return stored.change(account) if known else stored.add(account)


def renewed(stored: Credentials, worked: Collection[AccountId], now: datetime) -> Credentials:
    """A copy in which the accounts that worked are verified: earlier refusals are void."""
    for account in stored.accounts:
        if account.id in worked:
            stored = stored.change(msgspec.structs.replace(account, renewed_at=now))
    return stored
