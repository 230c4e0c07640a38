"""Export and import of accounts: bm's own format, encrypted with a passphrase, and plain lists of keys."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

from bm.accounts.account import Account, check
from bm.accounts.credentials import Credentials
from bm.config.files import write_private
from bm.errors import UNREADABLE, AccountError

VERSION = 1
FORMAT = "better-manager accounts"
MIN_PASSPHRASE = 8

_COST, _BLOCK = 2**16, 8
"""scrypt parameters: 64 MB and about 0.2 s for each guess."""
_MAX_COST = 2**20
_MAX_BYTES = 10 * 1024 * 1024
_HEADER = ("name", "key")


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts encrypted by AES-256-GCM, with a key derived by scrypt."""

    cost: int
    salt: bytes
    nonce: bytes
    data: bytes


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """The file. A newer version may contain something else."""

    format: str
    version: int = VERSION
    sealed: _Sealed | None = None


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The result of an import: the names that were added, and why others were skipped."""

    credentials: Credentials
    added: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def exported(credentials: Credentials, passphrase: str) -> bytes:
    """The accounts, encrypted with the passphrase. The local key is not exported.

    Raises:
        AccountError: the passphrase is too short.
    """
    if len(passphrase) < MIN_PASSPHRASE:
        raise AccountError(f"the passphrase needs at least {MIN_PASSPHRASE} characters")
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(16), os.urandom(12)
    plain = msgspec.json.encode(credentials.accounts)
    data = AESGCM(_key(passphrase, salt, _COST)).encrypt(nonce, plain, FORMAT.encode())
    document = _Document(format=FORMAT, sealed=_Sealed(cost=_COST, salt=salt, nonce=nonce, data=data))
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def write_export(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read.

    Raises:
        AccountError: it cannot be written, or exists: it may be the only copy of something.
    """
    if path.exists():
        raise AccountError(f"{path}: exists already; choose another name")
    try:
        write_private(path, content)
    except OSError as error:
        raise AccountError(f"{path}: cannot be written: {error.strerror}") from error


def read_import(path: Path) -> bytes:
    """The content of a file to import.

    Raises:
        AccountError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise AccountError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > _MAX_BYTES:
        raise AccountError(f"{path}: is too large for a list of accounts")
    return content


def is_sealed(content: bytes) -> bool:
    """Whether the content is encrypted."""
    return _document(content) is not None


def accounts_in(content: bytes, passphrase: str, provider: str = "gemini") -> tuple[Account, ...]:
    """The accounts in an export, or in a plain list of `name,key` lines for `provider`.

    Raises:
        AccountError: the file is neither, the passphrase is wrong, or an account is invalid. The message names lines
            and accounts, never keys.
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
    """Add the accounts whose key is not stored yet. A name that is taken gets a number."""
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
    """The export; None for anything else.

    Raises:
        AccountError: it starts like an export and is not a valid one.
    """
    if not content.lstrip().startswith(b"{"):
        return None
    try:
        document = msgspec.json.decode(content, type=_Document)
    except UNREADABLE:
        raise AccountError("the file is not an export of bm, or it is damaged") from None
    if document.format != FORMAT:
        raise AccountError("the file is not an export of bm")
    return document


def _opened(sealed: _Sealed, passphrase: str) -> tuple[Account, ...]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if sealed.cost > _MAX_COST or sealed.cost < 2 or sealed.cost & (sealed.cost - 1) or len(sealed.nonce) != 12:
        raise AccountError("the export is damaged")
    try:
        plain = AESGCM(_key(passphrase, sealed.salt, sealed.cost)).decrypt(sealed.nonce, sealed.data, FORMAT.encode())
        return msgspec.json.decode(plain, type=tuple[Account, ...])
    except InvalidTag:
        raise AccountError("the passphrase is wrong, or the export is damaged") from None
    except UNREADABLE:
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
        if (name.lower(), key.lower()) == _HEADER:
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
    """The value of a cell as spreadsheets quote it."""
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell
