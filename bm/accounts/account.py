"""One credential of a provider, as it is kept."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal, TypeAlias, get_args

import msgspec

from bm.errors import AccountError

Kind = Literal["api_key"]
"""How an account proves who it is. A further kind is a further word here."""

KINDS: tuple[Kind, ...] = get_args(Kind)

AccountId: TypeAlias = tuple[str, str]
"""(provider, name)."""

CONFIG_NAME = "config"
"""The account that stands for the `api_key` of a provider in config.toml."""

MAX_NAME = 64

_NAME = re.compile(r"[^\W_](?:[\w .@+-]*[\w@+-])?")


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What accounts.toml says about one credential.

    `key` is a secret reference as `bm.config.secrets` reads it, normally the key itself. `project` names what the
    provider counts quotas by: accounts that share it share their rate limits. `renewed_at` is when a person last
    verified or enabled it: a refusal from before then is void. Both times have a time zone.
    """

    name: str
    key: str
    provider: str = "gemini"
    kind: Kind = "api_key"
    enabled: bool = True
    project: str = ""
    added_at: datetime | None = None
    renewed_at: datetime | None = None

    @property
    def id(self) -> AccountId:
        """What no other account has."""
        return self.provider, self.name

    def __repr__(self) -> str:
        # The key stays out of logs and tracebacks.
        shown = f"name={self.name!r}, provider={self.provider!r}, kind={self.kind!r}, enabled={self.enabled!r}"
        return f"Account({shown}, project={self.project!r})"


def check(account: Account) -> None:
    """Refuse what could not be typed in a command, written in a response header, or sent as a key.

    Raises:
        AccountError: the name, the provider or the key is not acceptable; the text never holds the key.
    """
    if fault := name_fault(account.name):
        raise AccountError(f"{account.name[:MAX_NAME]!r} cannot be the name of an account: {fault}")
    if not account.provider:
        raise AccountError(f"account {account.name}: its provider is empty")
    if not account.key:
        raise AccountError(f"account {account.name}: its key is empty")
    if not account.key.isprintable() or account.key != account.key.strip():
        raise AccountError(f"account {account.name}: its key holds line breaks, control characters or outer spaces")


def name_fault(name: str) -> str:
    """What is wrong with a name; empty for a good one."""
    if not name:
        return "it is empty"
    if len(name) > MAX_NAME:
        return f"it is longer than {MAX_NAME} characters"
    if name == CONFIG_NAME:
        return "that name stands for the key in config.toml"
    if not _NAME.fullmatch(name) or not name.isascii():
        return "use letters, digits, space and . _ @ + - (no other signs; first a letter or digit, no space at the end)"
    return ""
