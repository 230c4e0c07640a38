"""What one node asks for all: access tokens of Google accounts, and model lists.

Access tokens are sealed in the store, so who reads it can use none. The key is made of the account's own refresh token,
which every node has and the store has not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bm.accounts.credentials import Credential
from bm.accounts.google import Grant
from bm.errors import UNREADABLE
from bm.gateway.learned import fingerprint
from bm.gateway.models import RENEWAL, ReadList
from bm.providers.provider import Provider
from bm.shared.leases import Leases
from bm.shared.store import digest

LEFT = 300.0
"""A token with fewer seconds left, or with less than half of its lifetime, is refreshed."""
_NONCE = 12


class Grants:
    """The grants of all nodes (`bm.accounts.tokens.Grants`)."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    async def once(self, credential: Credential, refused: str, refresh: Callable[[], Awaitable[Grant]]) -> Grant:
        """What another node was granted lately, other than the token `refused`, or else the result of `refresh`.

        Raises:
            TokenError: this node has asked, and there is no token.
        """
        return await self._leases.once(Sealed(credential, refused), refresh)


class Sealed:
    """A grant as it is stored (`bm.shared.leases.Finding`)."""

    def __init__(self, credential: Credential, refused: str = "") -> None:
        secret = credential.secret or credential.account.key
        identity = "\0".join((*credential.id, str(credential.account.renewed_at), secret))
        self.name = f"token:{digest(identity)}"
        self._refused = refused
        self._box = AESGCM(hashlib.sha256(f"bm access token\0{secret}".encode()).digest())

    def read(self, value: bytes, seconds: float) -> Grant | None:
        """A grant that is of use for so many seconds; None if it is not."""
        try:
            plain = self._box.decrypt(value[:_NONCE], value[_NONCE:], self.name.encode())
            grant = msgspec.json.decode(plain, type=Grant)
        except (InvalidTag, *UNREADABLE):
            return None
        if grant.token == self._refused or seconds <= min(LEFT, grant.lifetime / 2):
            return None
        return msgspec.structs.replace(grant, lifetime=seconds)

    def write(self, result: Grant) -> tuple[bytes, float]:
        """A grant, which expires with its token."""
        nonce = os.urandom(_NONCE)
        return nonce + self._box.encrypt(nonce, msgspec.json.encode(result), self.name.encode()), result.lifetime


class Lists:
    """The model lists of all nodes (`bm.gateway.models.Lists`). `accounts` are the names of a provider's accounts."""

    def __init__(self, leases: Leases, accounts: Callable[[str], Iterable[str]]) -> None:
        self._leases, self._accounts = leases, accounts

    async def once(
        self, provider: Provider, fresh: float, read: Callable[[], Awaitable[ReadList | None]]
    ) -> ReadList | None:
        """What another node has read within so many seconds, or else the result of `read`."""
        identity = "\0".join((provider.name, fingerprint(provider), *sorted(self._accounts(provider.name))))
        return await self._leases.once(Kept(f"models:{digest(identity)}", fresh), read)


class Kept:
    """A list as it is stored (`bm.shared.leases.Finding`), of use for `fresh` seconds."""

    def __init__(self, name: str, fresh: float) -> None:
        self.name, self._fresh = name, fresh

    def read(self, value: bytes, seconds: float) -> ReadList | None:
        """A list that expires in so many seconds; None if it is too old."""
        if RENEWAL - seconds > self._fresh:
            return None
        try:
            return msgspec.msgpack.decode(value, type=ReadList)
        except UNREADABLE:
            return None

    def write(self, result: ReadList | None) -> tuple[bytes, float] | None:
        """A list, if there is one."""
        return None if result is None else (msgspec.msgpack.encode(result), RENEWAL)
