"""What a request can be sent to."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from bm.names import ProtocolName

AccountId: TypeAlias = tuple[str, str]
"""(provider, name)."""


class Target(msgspec.Struct, frozen=True):
    """A model of one account of one provider, asked in one protocol. `account` is the account's name."""

    provider: str
    account: str
    model: str
    protocol: ProtocolName

    @property
    def account_id(self) -> AccountId:
        return self.provider, self.account

    def __str__(self) -> str:
        return f"{self.provider}/{self.account} {self.model}"
