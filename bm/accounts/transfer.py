"""Accounts from one machine to another: bm's own export, sealed with a passphrase, and plain lists of keys."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from bm.accounts.account import Account, check
from bm.accounts.store import Credentials
from bm.config.files import write_private
from bm.errors import AccountError

VERSION = 1
FORMAT = "better-manager accounts"
SHORTEST = 8
"""Characters a passphrase has at least."""

_COST, _BLOCK = 2**16, 8
"""scrypt's work: 64 MB and about 0.2 s, which a guesser pays for each guess."""
_LARGEST_COST = 2**20
_MOST_BYTES = 10 * 1024 * 1024
_HEAD = ("name", "key")


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """How the accounts were sealed: scrypt makes the key, AES-256-GCM seals."""

    cost: int
    salt: bytes
    nonce: bytes
    data: bytes


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """The file. That of a newer bm may hold something else."""

    format: str
    version: int = VERSION
    sealed: _Sealed | None = None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import made of a file: the names of accounts that came in, and why others did not."""

    credentials: Credentials
    added: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def exported(credentials: Credentials, passphrase: str) -> bytes:
    """The accounts as a file that only the passphrase opens. bm's local key stays here.

    Raises:
        AccountError: the passphrase is too short.
    """
    if len(passphrase) < SHORTEST:
        raise AccountError(f"the passphrase needs at least {SHORTEST} characters")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(16), os.urandom(12)
    plain = msgspec.json.encode(credentials.accounts)
    data = AESGCM(_key(passphrase, salt, _COST)).encrypt(nonce, plain, FORMAT.encode())
    document = _Document(format=FORMAT, sealed=_Sealed(cost=_COST, salt=salt, nonce=nonce, data=data))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def write_export(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read.

    Raises:
        AccountError: it cannot be written, or is there already: it may be the only copy of something.
    """
    if path.exists():
        raise AccountError(f"{path}: is there already; choose another name")
    try:
        write_private(path, content)
    except OSError as error:
        raise AccountError(f"{path}: cannot be written: {error.strerror}") from error


def read_import(path: Path) -> bytes:
    """The content of a file to import.

    Raises:
        AccountError: it cannot be read, or is too large to be one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise AccountError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise AccountError(f"{path}: is too large for a list of accounts")
    return content


def is_sealed(content: bytes) -> bool:
    """Whether a passphrase is needed."""
    return _document(content) is not None


def accounts_in(content: bytes, passphrase: str, provider: str = "gemini") -> tuple[Account, ...]:
    """The accounts in an export, or in a plain list with a `name,key` on each line, which are of `provider`.

    Raises:
        AccountError: the file is neither, the passphrase is not the right one, or an account is not acceptable. The
            text names lines and accounts, never keys.
    """
    document = _document(content)
    if document is None:
        return _listed(content, provider)
    if document.version > VERSION:
        raise AccountError("the export needs a newer bm")
    if document.sealed is None:
        raise AccountError("the export is damaged")
    accounts = _opened(document.sealed, passphrase)
    for account in accounts:
        check(account)
    return accounts


def merged(stored: Credentials, accounts: tuple[Account, ...]) -> Imported:
    """Add what is not there yet. A name that another key has already gets a number; the same key is left out."""
    added, skipped = [], []
    for account in accounts:
        twin = next((each for each in stored.accounts if each.identity == account.identity), None)
        if twin is not None:
            skipped.append(f"{account.name}: {twin.name} of {twin.provider} has this key already")
            continue
        taken = {each.name for each in stored.accounts if each.provider == account.provider}
        named = msgspec.structs.replace(account, name=_free(account.name, taken))
        stored = stored.add(named)
        added.append(named.name)
    return Imported(credentials=stored, added=tuple(added), skipped=tuple(skipped))


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _document(content: bytes) -> _Document | None:
    """An export; None for anything that does not even begin like one.

    Raises:
        AccountError: it is an export that is damaged.
    """
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AccountError("the file is no export of bm, or it is damaged") from None
    if document.format != FORMAT:
        raise AccountError("the file is no export of bm")
    return document


def _opened(sealed: _Sealed, passphrase: str) -> tuple[Account, ...]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if sealed.cost > _LARGEST_COST or sealed.cost < 2 or sealed.cost & (sealed.cost - 1) or len(sealed.nonce) != 12:
        raise AccountError("the export is damaged")
    try:
        plain = AESGCM(_key(passphrase, sealed.salt, sealed.cost)).decrypt(sealed.nonce, sealed.data, FORMAT.encode())
        return msgspec.json.decode(plain, type=tuple[Account, ...])
    except InvalidTag:
        raise AccountError("the passphrase is not the right one, or the export is damaged") from None
    except msgspec.DecodeError:
        raise AccountError("the export needs a newer bm") from None


def _key(passphrase: str, salt: bytes, cost: int) -> bytes:
    memory = 256 * cost * _BLOCK
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=cost, r=_BLOCK, p=1, maxmem=memory, dklen=32)


def _listed(content: bytes, provider: str) -> tuple[Account, ...]:
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise AccountError("the file is neither an export of bm nor a list of keys") from None
    found = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, comma, key = (_unquoted(part.strip()) for part in text.partition(","))
        if (name.lower(), key.lower()) == _HEAD:
            continue
        if not comma:
            raise AccountError(f"line {number}: is not `name,key`")
        account = Account(name=name, provider=provider, key=key)
        try:
            check(account)
        except AccountError as error:
            raise AccountError(f"line {number}: {error}") from None
        found.append(account)
    return tuple(found)


def _unquoted(cell: str) -> str:
    """A cell as spreadsheets write it."""
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
