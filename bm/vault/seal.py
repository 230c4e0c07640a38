"""Sealing: what is stored in a database is encrypted with a key that is not there.

AES-256-GCM with a random nonce, as exports of accounts use it. What a value is about, such as the name of its account,
is authenticated with it, so no value can be put in another's place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bm.config.secrets import resolve
from bm.errors import AccountError, ConfigError

SETTING: Final = "shared.seal"
_FORMAT: Final = b"\x01"
"""What every sealed value begins with; another number is of a newer bm."""
_NONCE: Final = 12
_KEY: Final = 32


class Sealed(NamedTuple):
    """A sealed value, and the id of the key that opens it."""

    key: str
    data: bytes


class Seal:
    """The keys of `[shared] seal`: the first seals, all of them open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {_id(key): key for key in keys}
        self.id = _id(keys[0])

    def __repr__(self) -> str:
        return f"Seal({', '.join(self._keys)})"

    def seal(self, plain: bytes, about: str) -> Sealed:
        """Encrypt a value."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        data = AESGCM(self._keys[self.id]).encrypt(nonce, plain, about.encode())
        return Sealed(self.id, _FORMAT + nonce + data)

    def open(self, sealed: Sealed, about: str) -> bytes:
        """Decrypt a value.

        Raises:
            AccountError: it is sealed with another key, was changed, belongs elsewhere, or needs a newer bm.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if sealed.data[:1] != _FORMAT:
            raise AccountError(f"{about}: is sealed in a way that needs a newer bm")
        if sealed.key not in self._keys:
            has = ", ".join(self._keys)
            remedy = 'give this node the same key as the others; while it is replaced, both: seal = ["NEW", "OLD"]'
            raise AccountError(f"{SETTING}: {about} is sealed with the key {sealed.key}, not with {has} ({remedy})")
        body = sealed.data[1:]
        try:
            return AESGCM(self._keys[sealed.key]).decrypt(body[:_NONCE], body[_NONCE:], about.encode())
        except (InvalidTag, ValueError):
            found = f"{about}: was changed or moved in the database by something else than bm"
            remedy = "put its row in bm_sealed back from a backup, or delete that row and add it again"
            raise AccountError(f"{found} ({remedy})") from None


def read_seal(references: Sequence[str], environ: Mapping[str, str]) -> Seal:
    """The keys that `[shared] seal` refers to. May block while a `cmd:` runs.

    Raises:
        ConfigError: one cannot be found, or is no key.
    """
    return Seal([_key(each, environ) for each in references])


def _key(reference: str, environ: Mapping[str, str]) -> bytes:
    try:
        text = resolve(reference, environ)
    except ConfigError as error:
        raise ConfigError(f"{reference} {error.message}", key=SETTING, hint=error.hint) from error
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY:
        make = "make one with: openssl rand -base64 32"
        raise ConfigError(f"{reference} holds no key of {_KEY} bytes in base64", key=SETTING, hint=make)
    return key


def _id(key: bytes) -> str:
    """What names a key in the database. It says nothing about the key, which is random."""
    return hashlib.sha256(b"better-manager seal\0" + key).hexdigest()[:16]
