"""What a request can be sent to."""

from __future__ import annotations

import msgspec

from bm.names import ProtocolName


class Target(msgspec.Struct, frozen=True):
    """One account of one provider, asked for one model over one wire. `account` is its name, never the key."""

    provider: str
    account: str
    model: str
    protocol: ProtocolName

    @property
    def account_id(self) -> tuple[str, str]:
        """The provider and the account: what a key belongs to."""
        return self.provider, self.account

    def __str__(self) -> str:
        return f"{self.provider}/{self.account} {self.model}"
