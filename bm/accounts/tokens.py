"""What each account sends to prove who it is: its key, or an access token that is renewed before it expires.

One refresher at a time works for an account: within the process callers share one task, between processes a lock file
keeps them apart. A refresh token that was exchanged for another is written down before its access token is used.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec

from bm.accounts.access import Access
from bm.accounts.account import Account, AccountId
from bm.accounts.credential import Credential
from bm.accounts.google import NO_TOKEN, Grant, TokenError, obtain
from bm.accounts.runtime import digest
from bm.accounts.store import Credentials, load, update
from bm.accounts.transport import Fetch, Transport
from bm.config.files import LockTimeout, locked
from bm.config.secrets import is_reference
from bm.errors import AccountError, BmError, Failure

AHEAD = 300.0
"""Seconds before its end from which on a token is renewed while it still serves."""
LAST = 10.0
"""A token with fewer seconds left is not sent any more."""
PAUSE = 30.0
"""Seconds between two tries to renew a token that still serves."""
BRIEF = 2.0
"""Seconds for which a failure answers further requests, lest a burst of them becomes one at the token endpoint. One
that took long answers for three times as long, at most `PAUSE`: few requests should wait for a silent endpoint."""
PATIENCE = 30.0
"""Seconds to wait for another process that renews the same account's token."""
BUSY = 2.0
"""Seconds to wait for another process that writes accounts.toml; a request may be waiting for the token."""
AGAIN = 30.0
"""Seconds between two tries to write down a refresh token that could not be written."""
GRACE = 3.0
"""Seconds that a refresh gets to end when bm does."""
THREADS = 8

_log = logging.getLogger("bm.accounts")


class _Held(msgspec.Struct, frozen=True):
    """A token in use. It ends when either clock says so: one stands still in sleep, the other may be set."""

    access: Access
    mark: str
    lifetime: float
    ends: float
    ends_wall: float


class _Failed(msgspec.Struct, frozen=True):
    """A refresh that failed `at` a moment, and for how many seconds it answers those who have no token."""

    failure: Failure
    mark: str
    at: float
    answers: float


class Tokens:
    """The access tokens of all accounts. Used from one event loop; `close` it in the end."""

    def __init__(
        self,
        path: Path,
        fetch: Fetch,
        environ: Mapping[str, str] = os.environ,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._fetch, self._environ = path, fetch, environ
        self._clock, self._wall = clock, wall
        self._held: dict[AccountId, _Held] = {}
        self._running: dict[AccountId, asyncio.Task[_Held | Failure]] = {}
        self._failed: dict[AccountId, _Failed] = {}
        self._unsaved: dict[AccountId, tuple[Account, str]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._transports: set[Transport] = set()
        self._threads: ThreadPoolExecutor | None = None

    async def access(self, credential: Credential, *, refused: str = "") -> Access:
        """What to send for an account. `refused` is a token that the service did not take: it is not given again.

        Raises:
            TokenError: there is no token. Kind `upstream_auth`: a person must act. Any other: not the account's fault.
        """
        if credential.account.kind == "api_key":
            return Access(key=credential.secret)
        account_id, mark = credential.id, _mark(credential)
        held = self._held.get(account_id)
        if held is not None and held.mark == mark and held.access.key != refused:
            left = min(held.ends - self._clock(), held.ends_wall - self._wall())
            if left > min(AHEAD, held.lifetime / 2):
                return held.access
            if left > LAST:
                if not self._failed_lately(account_id, mark, serving=True):
                    self._begin(credential)
                return held.access
        found: _Held | Failure | None = self._failed_lately(account_id, mark)
        if found is None:
            found = await asyncio.shield(self._begin(credential))
        if isinstance(found, Failure):
            raise TokenError(found)
        return found.access

    def retain(self, account_ids: Collection[AccountId]) -> None:
        """Forget accounts that are not among these any more: one that comes back under its name begins anew."""
        for known in (self._held, self._failed, self._unsaved):
            for gone in known.keys() - set(account_ids):
                del known[gone]

    async def close(self) -> None:
        """End what is under way. It gets a moment: an answer may hold a refresh token that exists nowhere else."""
        if self._writing is not None:
            self._writing.cancel()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=GRACE)
        for transport in self._transports:
            transport.stop()
        if self._running:
            await asyncio.wait(self._running.values())
        if self._unsaved:
            await asyncio.to_thread(self._write_down)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _failed_lately(self, account_id: AccountId, mark: str, *, serving: bool = False) -> Failure | None:
        """Why there was no token a moment ago; `serving` says that the old one still does."""
        last = self._failed.get(account_id)
        if last is None or last.mark != mark:
            return None
        return last.failure if self._clock() - last.at < (PAUSE if serving else last.answers) else None

    def _begin(self, credential: Credential) -> asyncio.Task[_Held | Failure]:
        """The refresh under way for the account, begun if there is none. It outlives the caller that began it."""
        task = self._running.get(credential.id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._renew(credential))
            self._running[credential.id] = task
            task.add_done_callback(lambda _: self._running.pop(credential.id, None))
        return task

    async def _renew(self, credential: Credential) -> _Held | Failure:
        account_id, mark, loop = credential.id, _mark(credential), asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bm-tokens")
        began, began_wall = self._clock(), self._wall()
        transport = Transport(self._fetch, loop)
        self._transports.add(transport)
        try:
            grant = await loop.run_in_executor(self._threads, self._refresh, credential.account, transport)
        except TokenError as error:
            now = self._clock()
            self._failed[account_id] = _Failed(error.failure, mark, now, min(max(BRIEF, 3 * (now - began)), PAUSE))
            _log.warning("account %s of %s: %s", credential.account.name, credential.account.provider, error)
            return error.failure
        finally:
            self._transports.discard(transport)
        access = _access(credential.account, grant)
        held = _Held(access, mark, grant.lifetime, began + grant.lifetime, began_wall + grant.lifetime)
        self._held[account_id] = held
        self._failed.pop(account_id, None)
        if self._unsaved and (self._writing is None or self._writing.done()):
            self._writing = loop.create_task(self._write_later())
        return held

    async def _write_later(self) -> None:
        """Write the refresh tokens down that could not be written, as soon as they can be."""
        while any(not is_reference(account.key) for account, _ in self._unsaved.values()):
            await asyncio.sleep(AGAIN)
            await asyncio.to_thread(self._write_down)

    def _refresh(self, account: Account, transport: Transport) -> Grant:
        """One refresh, in a thread.

        Raises:
            TokenError: there is no token.
        """
        if account.kind != "google_oauth":
            return obtain(account, transport, self._environ)
        try:
            with locked(lock_path(self._path, account.id), PATIENCE):
                return self._exchange(account, transport)
        except LockTimeout:
            message = "no access token: another bm renews it and does not come to an end"
            raise TokenError(Failure(kind="timeout", message=message, code=NO_TOKEN)) from None
        except OSError as error:
            # Where no lock can be made, on a full or a read-only disk, nobody else writes either.
            _log.warning(
                "%s cannot be written: %s; tokens are renewed without a lock", self._path.parent, error.strerror
            )
            return self._exchange(account, transport)

    def _exchange(self, account: Account, transport: Transport) -> Grant:
        """Refresh by the token that is in the file now: another process may have exchanged it."""
        account = _stored(self._path, account)
        old, newer = self._unsaved.get(account.id, (None, ""))
        unsaved = newer if old is not None and account.key == old.key else ""
        grant = obtain(account, transport, self._environ, unsaved)
        if latest := grant.refresh_token or unsaved:
            self._keep(account, latest)
        return grant

    def _keep(self, account: Account, token: str) -> None:
        """Write a new refresh token down; what cannot be written is held, and written after the next refresh."""
        if is_reference(account.key):
            _log.warning("account %s: its refresh token was replaced, and its key is a reference", account.name)
            self._unsaved[account.id] = (account, token)
            return
        try:
            update(self._path, lambda stored: exchanged(stored, account, token), patience=BUSY)
        except BmError as error:
            _log.error("account %s: its new refresh token is not written down yet: %s", account.name, error)
            self._unsaved[account.id] = (account, token)
        else:
            self._unsaved.pop(account.id, None)

    def _write_down(self) -> None:
        """Try again to write what is held, but for accounts whose token is just being renewed; in a thread."""
        for account_id in list(self._unsaved):
            with suppress(BmError, OSError), locked(lock_path(self._path, account_id), 0):
                account, token = self._unsaved[account_id]
                if not is_reference(account.key):
                    self._keep(account, token)


def _access(account: Account, grant: Grant) -> Access:
    project = account.project or grant.project
    return Access(key=grant.token, bearer=True, project=project, location=account.location, billed=grant.billed)


def exchanged(stored: Credentials, account: Account, token: str) -> Credentials:
    """With the new refresh token, unless the account has meanwhile gone or been signed in anew."""
    for each in stored.accounts:
        if each.id == account.id and each.key == account.key:
            return stored.change(msgspec.structs.replace(each, key=token))
    return stored


def lock_path(path: Path, account_id: AccountId) -> Path:
    """The file by which processes take turns to refresh one account."""
    name = hashlib.sha256("\0".join(account_id).encode()).hexdigest()[:12]
    path = Path(os.path.realpath(path))
    return path.with_name(f"{path.name}.{name}.lock")


def _stored(path: Path, account: Account) -> Account:
    try:
        accounts = load(path).accounts
    except AccountError:
        # What is in memory was good when it was read.
        return account
    return next((each for each in accounts if each.id == account.id and each.kind == account.kind), account)


def _mark(credential: Credential) -> str:
    """Changes when what was learnt of an account's tokens is void: other credentials, or a person has renewed it."""
    renewed = credential.account.renewed_at
    return f"{digest(credential)} {renewed.isoformat() if renewed else ''}"
