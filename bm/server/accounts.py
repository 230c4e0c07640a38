"""The accounts over HTTP, as `bm accounts` shows and changes them. No answer holds a key."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.accounts.account import Account
from bm.accounts.credentials import Credentials
from bm.accounts.edits import begun, main_account, put, refuse_without_key, renewed, switched, with_key
from bm.accounts.report import rows
from bm.chat.parts import Json
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.target import Target
from bm.errors import AccountError
from bm.gateway.probe import Probe, probe_all, try_key
from bm.gateway.services import Services
from bm.server.asgi import json_handler
from bm.server.edits import Edits, refuse_reference
from bm.server.providers import ProviderViews
from bm.server.sign_in import Admission

_log = logging.getLogger("bm")


class _New(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    key: str
    provider: str = "gemini"
    project: str = ""
    verify: bool = True


class _Key(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    verify: bool = True


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    """What is to differ; None stays as it is."""

    name: str | None = None
    enabled: bool | None = None
    tier: Annotated[int, msgspec.Meta(ge=0, le=99)] | None = None


class _Id(NamedTuple):
    provider: str
    name: str


class AccountViews:
    """Shows and changes the accounts."""

    def __init__(self, services: Services, edits: Edits, providers: ProviderViews) -> None:
        self._services, self._edits, self._providers = services, edits, providers

    def routes(self, admission: Admission) -> list[Route]:
        shown = admission.shown
        one = "/admin/accounts/{provider}/{name}"
        return [
            Route("/admin/accounts", shown(json_handler(self.rows))),
            Route("/admin/accounts", shown(json_handler(self.add)), methods=["POST"]),
            Route(one, shown(json_handler(self.change)), methods=["PATCH"]),
            Route(one, shown(json_handler(self.remove)), methods=["DELETE"]),
            Route(f"{one}/key", shown(json_handler(self.set_key)), methods=["POST"]),
            Route(f"{one}/verify", shown(json_handler(self.verify)), methods=["POST"]),
            Route("/admin/providers/{name}/key", shown(json_handler(self.set_main_key)), methods=["POST"]),
        ]

    async def rows(self, request: Request) -> Json:
        settings = self._services.settings
        return {
            "accounts": rows(self._services.pool, now=time.monotonic(), wall=time.time()),
            "warnings": [each for each in settings.warnings if each.startswith(settings.vault.place)],
        }

    async def add(self, request: Request) -> Json:
        """Add an account with a key, which is tested first unless `verify` is false.

        Raises:
            RequestError: the provider is unknown, or the key is a reference.
            AccountError: the name or the key cannot be used, or the key is refused.
        """
        new = msgspec.json.decode(await request.body(), type=_New)
        provider = self._providers.named(new.provider).name
        stored = await asyncio.to_thread(self._edits.stored)
        if any(each.id == (provider, new.name) for each in stored.accounts):
            raise AccountError(f"{provider} already has an account named {new.name!r}")
        account = Account(name=new.name, provider=provider, key=new.key.strip(), project=new.project.strip())
        return await self._save(begun(account, datetime.now(UTC)), verify=new.verify)

    async def set_main_key(self, request: Request) -> Json:
        """Set the key of a provider's main account, as `bm providers key` does. Raises the same errors as `add`."""
        given = msgspec.json.decode(await request.body(), type=_Key)
        provider = self._providers.named(request.path_params["name"])
        if provider.pool:
            raise AccountError("gemini has named accounts instead (bm accounts add NAME)")
        return await self._save(main_account(provider.name, given.key.strip(), datetime.now(UTC)), verify=given.verify)

    async def set_key(self, request: Request) -> Json:
        """Replace the key of an account, which is used again if it was off or disabled. Raises the errors of `add`."""
        given = msgspec.json.decode(await request.body(), type=_Key)
        account = await self._stored(request)
        refuse_without_key(account)
        return await self._save(with_key(account, given.key.strip(), datetime.now(UTC)), verify=given.verify)

    async def _save(self, account: Account, *, verify: bool) -> Json:
        refuse_reference(account.key)
        result: Probe | None = None
        if verify:
            result = await try_key(self._services.client, self._services.settings, account, os.environ)
        await self._edits.accounts(lambda stored: put(stored, account))
        _log.info("a key was saved for the account %s of %s", account.name, account.provider)
        return {"provider": account.provider, "name": account.name, "result": result}

    async def change(self, request: Request) -> Json:
        """Switch an account on or off, rename it, or move it to another tier.

        Raises:
            AccountError: there is no such account, or the new name cannot be used.
        """
        wanted = msgspec.json.decode(await request.body(), type=_Change)
        provider, name = _id(request)

        def change(stored: Credentials) -> Credentials:
            account = stored.find(name, provider)
            if wanted.enabled is not None:
                account = switched(account, datetime.now(UTC), on=wanted.enabled)
            if wanted.tier is not None:
                account = msgspec.structs.replace(account, tier=wanted.tier)
            stored = stored.change(account)
            return stored if wanted.name in (None, name) else stored.rename(account, wanted.name)

        await self._edits.accounts(change)
        return {"provider": provider, "name": wanted.name or name}

    async def remove(self, request: Request) -> Json:
        """Remove an account and its key.

        Raises:
            AccountError: there is no such account.
        """
        gone = _id(request)
        await self._edits.accounts(lambda stored: stored.remove(gone))
        _log.info("the account %s of %s was removed", gone.name, gone.provider)
        return {"provider": gone.provider, "name": gone.name}

    async def verify(self, request: Request) -> Json:
        """Test an account. One that works is used again, also if it was disabled or is cooling down.

        Raises:
            AccountError: there is no such account.
        """
        services, wanted = self._services, _id(request)
        only = tuple(each for each in services.settings.credentials if each.id == wanted)
        if not only:
            await self._stored(request)
        settings = msgspec.structs.replace(services.settings, credentials=only)

        def ended(target: Target, effect: AccountEffect) -> None:
            services.pool.record_probe(target, effect, now=time.monotonic(), wall=time.time(), wake=True)

        (result,) = await probe_all(services.client, settings, [wanted.name], services.tokens, ended)
        if result.ok:
            await self._edits.accounts(lambda stored: renewed(stored, {wanted}, datetime.now(UTC)))
        return {"results": [result]}

    async def _stored(self, request: Request) -> Account:
        provider, name = _id(request)
        return (await asyncio.to_thread(self._edits.stored)).find(name, provider)


def _id(request: Request) -> _Id:
    return _Id(request.path_params["provider"], request.path_params["name"])
