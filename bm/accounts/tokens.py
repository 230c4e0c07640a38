"""The key or access token of each account. Access tokens are refreshed before they expire.

There is one refresh of an account at a time: callers in this process share a task, and a lock excludes other processes.
Several nodes of bm share what one of them was granted. When a refresh token is replaced, the new one is stored before
the access token is used.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

import msgspec

from bm.accounts.account import Access, Account
from bm.accounts.credentials import Credential, Credentials
from bm.accounts.google import NO_TOKEN, Fetch, Grant, TokenError, Transport, obtain
from bm.accounts.runtime import digest
from bm.accounts.store import AccountStore
from bm.config.files import LockTimeout
from bm.config.secrets import is_reference
from bm.dispatch.target import AccountId
from bm.errors import AccountError, BmError, Failure
from bm.tasks import keep_running, spawn

REFRESH_BEFORE = 300.0
"""Seconds before its expiry from which a token is refreshed while still in use."""
MIN_LEFT = 10.0
"""A token with fewer seconds left is no longer sent."""
RETRY_PAUSE = 30.0
"""Seconds between two attempts to refresh a token that is still valid."""
FAILURE_TTL = 2.0
"""Seconds for which a failure is the answer to further requests, so that a burst of requests does not become a burst at
the token endpoint. A failure that took long counts three times as long as it took, at most `RETRY_PAUSE`."""
LOCK_PATIENCE = 30.0
"""Seconds to wait for another process that refreshes the same account's token."""
WRITE_PATIENCE = 2.0
"""Seconds to wait for another process that changes the accounts. A request may be waiting for the token."""
WRITE_PAUSE = 30.0
"""Seconds between two attempts to store a refresh token that could not be stored."""
GRACE = 3.0
"""Seconds a refresh may still take when bm stops."""
THREADS = 8

_log = logging.getLogger("bm.accounts")


class _Held(msgspec.Struct, frozen=True):
    """A token in use. It expires by either clock: one stands still during sleep, the other may be set."""

    access: Access
    version: str
    lifetime: float
    ends: float
    ends_wall: float


class _Failed(msgspec.Struct, frozen=True):
    """A refresh that failed `at` a time. Without a valid token, the failure counts for `ttl` seconds."""

    failure: Failure
    version: str
    at: float
    ttl: float


class Grants(Protocol):
    """What the nodes of a team are granted: one of them asks for all."""

    async def once(self, credential: Credential, refused: str, refresh: Callable[[], Awaitable[Grant]]) -> Grant:
        """What another node was granted lately, other than the token `refused`, or else the result of `refresh`.

        Raises:
            TokenError: this node has asked, and there is no token.
        """


class Tokens:
    """The access tokens of all accounts, which are in `store`. For use from one event loop; must be closed."""

    def __init__(
        self,
        store: AccountStore,
        fetch: Fetch,
        environ: Mapping[str, str] = os.environ,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.store, self._fetch, self._environ = store, fetch, environ
        self._clock, self._wall = clock, wall
        self.grants: Grants | None = None
        self._held: dict[AccountId, _Held] = {}
        self._running: dict[AccountId, asyncio.Task[_Held | Failure]] = {}
        self._failed: dict[AccountId, _Failed] = {}
        self._unsaved: dict[AccountId, tuple[Account, str]] = {}
        self._writing: asyncio.Task[None] | None = None
        self._transports: set[Transport] = set()
        self._threads: ThreadPoolExecutor | None = None

    async def access(self, credential: Credential, *, refused: str = "") -> Access:
        """What to send for an account. `refused` is a token that the service rejected; it is not returned again.

        Raises:
            TokenError: there is no token. A failure of kind `upstream_auth` needs a person; any other is not the
                account's fault.
        """
        if credential.account.kind == "api_key":
            return Access(key=credential.secret)
        account_id, version = credential.id, _version(credential)
        held = self._held.get(account_id)
        if held is not None and held.version == version and held.access.key != refused:
            left = min(held.ends - self._clock(), held.ends_wall - self._wall())
            if left > min(REFRESH_BEFORE, held.lifetime / 2):
                return held.access
            if left > MIN_LEFT:
                if not self._failed_lately(account_id, version, valid=True):
                    self._begin(credential)
                return held.access
        found: _Held | Failure | None = self._failed_lately(account_id, version)
        if found is None:
            found = await asyncio.shield(self._begin(credential, refused))
        if isinstance(found, Failure):
            raise TokenError(found)
        return found.access

    def retain(self, account_ids: Collection[AccountId]) -> None:
        """Forget all other accounts, so that one added again under the same name starts from nothing."""
        for known in (self._held, self._failed, self._unsaved):
            for gone in known.keys() - set(account_ids):
                del known[gone]

    async def close(self) -> None:
        """Stop. Running refreshes get a moment: a response may hold a refresh token that exists nowhere else."""
        if self._writing is not None:
            self._writing.cancel()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=GRACE)
        for transport in self._transports:
            transport.stop()
        if self._running:
            await asyncio.wait(self._running.values())
        if self._unsaved:
            await asyncio.to_thread(self._store_unsaved)
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _failed_lately(self, account_id: AccountId, version: str, *, valid: bool = False) -> Failure | None:
        """The last failure, if it still counts. `valid` means that the previous token is still valid."""
        last = self._failed.get(account_id)
        if last is None or last.version != version:
            return None
        return last.failure if self._clock() - last.at < (RETRY_PAUSE if valid else last.ttl) else None

    def _begin(self, credential: Credential, refused: str = "") -> asyncio.Task[_Held | Failure]:
        """The running refresh of the account, started if there is none. It outlives the caller."""
        task = self._running.get(credential.id)
        if task is None:
            task = spawn(self._renew(credential, refused), f"refreshing the token of {credential.account.name}")
            self._running[credential.id] = task
            task.add_done_callback(lambda _: self._running.pop(credential.id, None))
        return task

    async def _renew(self, credential: Credential, refused: str) -> _Held | Failure:
        account_id, version = credential.id, _version(credential)
        began, began_wall = self._clock(), self._wall()
        try:
            grant = await self._granted(credential, refused)
        except TokenError as error:
            now = self._clock()
            ttl = min(max(FAILURE_TTL, 3 * (now - began)), RETRY_PAUSE)
            self._failed[account_id] = _Failed(error.failure, version, now, ttl)
            _log.warning("account %s of %s: %s", credential.account.name, credential.account.provider, error)
            return error.failure
        access = _access(credential.account, grant)
        held = _Held(access, version, grant.lifetime, began + grant.lifetime, began_wall + grant.lifetime)
        self._held[account_id] = held
        self._failed.pop(account_id, None)
        if self._unsaved and (self._writing is None or self._writing.done()):
            self._writing = keep_running(self._store_later, "storing refresh tokens")
        return held

    async def _granted(self, credential: Credential, refused: str) -> Grant:
        """A new access token.

        Raises:
            TokenError: there is none.
        """
        account, loop = credential.account, asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="bm-tokens")
        transport = Transport(self._fetch, loop)

        async def refresh() -> Grant:
            return await loop.run_in_executor(self._threads, self._refresh, account, transport)

        self._transports.add(transport)
        try:
            if self.grants is None or account.kind != "google_oauth":
                return await refresh()
            grant = await self.grants.once(credential, refused, refresh)
            if grant.refresh_token:
                # Another node may have been granted it.
                await loop.run_in_executor(self._threads, self._keep, account, grant.refresh_token)
            return grant
        finally:
            self._transports.discard(transport)

    async def _store_later(self) -> None:
        """Retry until every refresh token is stored."""
        while any(not is_reference(account.key) for account, _ in self._unsaved.values()):
            await asyncio.sleep(WRITE_PAUSE)
            await asyncio.to_thread(self._store_unsaved)

    def _refresh(self, account: Account, transport: Transport) -> Grant:
        """Refresh, in a thread.

        Raises:
            TokenError: there is no token.
        """
        if account.kind != "google_oauth":
            return obtain(account, transport, self._environ)
        try:
            with self.store.refreshing(account.id, LOCK_PATIENCE):
                return self._exchange(account, transport)
        except LockTimeout:
            message = "no access token: another bm process has been refreshing it for too long"
            raise TokenError(Failure(kind="timeout", message=message, code=NO_TOKEN)) from None
        except (OSError, AccountError) as error:
            # On a full or read-only disk no lock can be made, but no other process can write either.
            _log.warning("%s: refreshed without a lock: %s", account.name, error)
            return self._exchange(account, transport)

    def _exchange(self, account: Account, transport: Transport) -> Grant:
        """Refresh with the token that is stored now: another process may have replaced it."""
        account = _stored(self.store, account)
        old, newer = self._unsaved.get(account.id, (None, ""))
        unsaved = newer if old is not None and account.key == old.key else ""
        grant = obtain(account, transport, self._environ, unsaved)
        if latest := grant.refresh_token or unsaved:
            self._keep(account, latest)
        return grant

    def _keep(self, account: Account, token: str) -> None:
        """Store a new refresh token. One that cannot be stored is kept in memory and tried again later."""
        if is_reference(account.key):
            _log.warning("account %s: its refresh token was replaced, and its key is a reference", account.name)
            self._unsaved[account.id] = (account, token)
            return
        try:
            self.store.update(lambda stored: with_token(stored, account, token), patience=WRITE_PATIENCE)
        except BmError as error:
            _log.error("account %s: its new refresh token is not stored yet: %s", account.name, error)
            self._unsaved[account.id] = (account, token)
        else:
            self._unsaved.pop(account.id, None)

    def _store_unsaved(self) -> None:
        """Try again to store the tokens kept in memory, except of accounts being refreshed. Runs in a thread."""
        for account_id in list(self._unsaved):
            with suppress(BmError, OSError), self.store.refreshing(account_id, 0):
                account, token = self._unsaved.get(account_id, (None, ""))
                if account is not None and not is_reference(account.key):
                    self._keep(account, token)


def _access(account: Account, grant: Grant) -> Access:
    project = account.project or grant.project
    return Access(key=grant.token, bearer=True, project=project, location=account.location, billed=grant.billed)


def with_token(stored: Credentials, account: Account, token: str) -> Credentials:
    """A copy with the new refresh token, unless the account was removed or signed in again meanwhile."""
    for each in stored.accounts:
        if each.id == account.id and each.key == account.key:
            return stored.change(msgspec.structs.replace(each, key=token))
    return stored


def _stored(store: AccountStore, account: Account) -> Account:
    try:
        accounts = store.load().accounts
    except AccountError:
        # The account in memory was valid when it was read.
        return account
    return next((each for each in accounts if each.id == account.id and each.kind == account.kind), account)


def _version(credential: Credential) -> str:
    """Changes when the tokens of an account become void: with its credentials, or when a person has renewed it."""
    renewed = credential.account.renewed_at
    return f"{digest(credential)} {renewed.isoformat() if renewed else ''}"
