"""A client's key: what it may ask for and how much. Of the key itself only a digest is stored.

A key has 256 random bits, so a fast digest is as good as a slow one: there is nothing to guess. Looking the digest up
in a table takes a time that says nothing about the key.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from bm.config.budget import read_limit
from bm.errors import AccountError, Failure
from bm.names import MAIN_KEY
from bm.providers.resolve import bare

PREFIX: Final = "bm-"
MOST: Final = 1_000
"""Keys in one file. Each is a label of the metrics."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_SPAN = re.compile(r"(\d+)\s*([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as keys.toml stores it. Both times have a time zone.

    `sha256` is the digest of the key, and `hint` what may be shown of it. Requests may name models that fit one of the
    patterns `models`, and go to `providers`; where these are empty, to all. `rpm` and `tpm` are requests and tokens per
    minute, 0 = no limit. `budgets` are limits as `bm.config.budget` reads them.
    """

    name: str
    sha256: str = ""
    hint: str = ""
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    rpm: int = 0
    tpm: int = 0
    budgets: tuple[str, ...] = ()
    created_at: datetime | None = None
    expires_at: datetime | None = None

    def names(self, model: str) -> bool:
        """Whether a request may name this model, with or without the prefix of a provider."""
        if not self.models:
            return True
        name = bare(model).lower()
        forms = (name, name.partition(":")[2] or name)
        return any(fnmatchcase(form, pattern.lower()) for form in forms for pattern in self.models)

    def uses(self, provider: str) -> bool:
        """Whether its requests may go to this provider."""
        return not self.providers or provider in self.providers

    def lists(self, owner: str, model: str) -> bool:
        """Whether its client is to see this model of a provider, or this alias."""
        return self.names(model) and (owner == "alias" or self.uses(owner))

    def expired(self, wall: float) -> Failure | None:
        """The failure of its requests from a Unix time on; None until it has expired."""
        if self.expires_at is None or self.expires_at.timestamp() > wall:
            return None
        message = f"the key {self.name} has expired on {self.expires_at:%Y-%m-%d %H:%M %Z} (bm keys change {self.name})"
        return Failure(kind="unauthorized", message=message, should_retry=False)


MAIN: Final = Key(name=MAIN_KEY)
"""bm's own key, which is stored with the accounts."""


class Keys:
    """The keys in force, by digest and by name."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._all = tuple(keys)
        self._by_digest = {bytes.fromhex(key.sha256): key for key in self._all}
        self._by_name = {MAIN_KEY: MAIN, **{key.name: key for key in self._all}}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def by_digest(self, found: bytes) -> Key | None:
        """The key with this digest."""
        return self._by_digest.get(found)

    def named(self, name: str) -> Key | None:
        """The key of this name, bm's own included; None once it is revoked."""
        return self._by_name.get(name)


NO_KEYS: Final = Keys()


def digest(secret: str) -> bytes:
    """What is stored of a key. Headers may hold bytes that are no UTF-8."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def read_expiry(text: str, now: datetime) -> datetime:
    """When a key expires: `30d`, `12h`, `45m` after `now`, at the end of a day, or at a time. Times are local.

    Raises:
        ValueError: it is none of these, or is past.
    """
    if found := _SPAN.fullmatch(text.strip()):
        try:
            return _future(now + int(found[1]) * _UNITS[found[2]], now)
        except OverflowError:
            raise ValueError("that is too long") from None
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError("write a date, a time, or a time from now: 2027-01-31, 2027-01-31T18:00, 30d, 12h") from None
    if len(text.strip()) <= len("2027-01-31"):
        at = datetime.combine(at.date() + timedelta(days=1), time())
    # The zone of `now` may be an offset that does not hold by then.
    return _future(at.astimezone() if at.tzinfo is None else at, now)


def _future(at: datetime, now: datetime) -> datetime:
    if at <= now:
        raise ValueError("that is past")
    return at


def check(key: Key) -> None:
    """Refuse what cannot be a key.

    Raises:
        AccountError: with what is wrong.
    """
    check_limits(key)
    if not _DIGEST.fullmatch(key.sha256):
        raise AccountError("`sha256` is not 64 hexadecimal digits")


def check_limits(key: Key) -> None:
    """Refuse a name or limits that no key can have.

    Raises:
        AccountError: with what is wrong.
    """
    if not _NAME.fullmatch(key.name):
        raise AccountError(f"{key.name!r} cannot be a name: use up to 64 letters, digits and . _ @ -")
    if key.name.lower() == MAIN_KEY:
        raise AccountError(f"{MAIN_KEY} is the name of bm's own key")
    if min(key.rpm, key.tpm) < 0:
        raise AccountError("`rpm` and `tpm` are at least 0, which is no limit")
    for when in (key.created_at, key.expires_at):
        if when is not None and when.tzinfo is None:
            raise AccountError(f"{when.isoformat()} has no time zone")
    for text in key.budgets:
        try:
            read_limit(text)
        except ValueError as error:
            raise AccountError(str(error)) from None
