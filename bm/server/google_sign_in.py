"""Google sign-ins that begin on the page: the address to open, and what has become of them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from starlette.requests import Request
from starlette.routing import Route

from bm.accounts.account import Account, OAuthClient, check
from bm.accounts.google_files import client_in
from bm.accounts.sign_in import PATIENCE, SignIn, code_of, exchange, redirect_awaited, signed_in, within
from bm.chat.parts import Json
from bm.errors import AccountError, BmError, Failure, RequestError
from bm.gateway.services import Services
from bm.server.asgi import json_handler
from bm.server.edits import Edits, refuse_reference
from bm.server.sign_in import Admission
from bm.tasks import spawn
from bm.upstream.fetch import token_fetcher

MOST = 8
"""Sign-ins that are remembered; each may wait for a person."""

_log = logging.getLogger("bm")


class _Begin(msgspec.Struct, forbid_unknown_fields=True):
    """`client` is the content of client_secret.json; empty to sign in an account again with the client it has."""

    name: str
    client: str = ""
    project: str = ""
    location: str = ""


class _Pasted(msgspec.Struct, forbid_unknown_fields=True):
    address: str


class _Waiting(msgspec.Struct):
    """A sign-in. `message` says why it has failed."""

    sign_in: SignIn
    answered: asyncio.Future[str]
    state: Literal["waiting", "done", "failed"] = "waiting"
    message: str = ""


class GoogleSignIns:
    """Lets a person sign in to Google in their browser, which comes back to this machine, or is pasted."""

    def __init__(self, services: Services, edits: Edits) -> None:
        self._services, self._edits = services, edits
        self._known: OrderedDict[str, _Waiting] = OrderedDict()

    def routes(self, admission: Admission) -> list[Route]:
        shown = admission.shown
        return [
            Route("/admin/google", shown(json_handler(self.begin)), methods=["POST"]),
            Route("/admin/google/{id}", shown(json_handler(self.state))),
            Route("/admin/google/{id}", shown(json_handler(self.paste)), methods=["POST"]),
        ]

    async def begin(self, request: Request) -> Json:
        """Begin to sign in; the address of Google's consent page is to be opened within `PATIENCE` seconds.

        Raises:
            AccountError: the account cannot be made that way.
        """
        given = msgspec.json.decode(await request.body(), type=_Begin)
        stored = await asyncio.to_thread(self._edits.stored)
        old = next((each for each in stored.accounts if each.id == ("gemini", given.name)), None)
        client: OAuthClient | None = old.client if old is not None else None
        if given.client.strip():
            client = client_in(given.client, "the file")
            refuse_reference(client.secret)
        if client is None:
            raise AccountError("an OAuth client is needed: choose its client_secret.json")
        account = Account(
            name=given.name,
            kind="google_oauth",
            key="-",
            client=client,
            project=given.project.strip() or (old.project if old else ""),
            location=given.location.strip() or (old.location if old else ""),
        )
        check(account)
        if old is not None:
            signed_in(stored, account, datetime.now(UTC))
        begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        work = spawn(self._run(account, client, begun), f"signing in {given.name}")
        waiting: set[asyncio.Future[Any]] = {work, begun}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            raise AccountError("this machine has no port for the browser to come back to")
        name = begun.result()
        return {"id": name, "address": self._known[name].sign_in.address, "seconds": PATIENCE}

    async def _run(self, account: Account, client: OAuthClient, begun: asyncio.Future[str]) -> None:
        """Wait for the person, then store the account."""
        fetch = token_fetcher(self._services.client, lambda: self._services.config)
        async with redirect_awaited(client, account.location) as (sign_in, answered):
            found = _Waiting(sign_in, answered)
            name = secrets.token_urlsafe(12)
            self._known[name] = found
            while len(self._known) > MOST:
                self._known.popitem(last=False)[1].answered.cancel()
            begun.set_result(name)
            try:
                code = await within(PATIENCE, answered)
                key = await exchange(sign_in, code, fetch)
                made = msgspec.structs.replace(account, key=key)
                await self._edits.accounts(lambda stored: signed_in(stored, made, datetime.now(UTC)))
            except BmError as error:
                found.state, found.message = "failed", str(error)
            else:
                found.state = "done"
                _log.info("the account %s was signed in to Google", account.name)

    async def state(self, request: Request) -> Json:
        """What has become of a sign-in.

        Raises:
            RequestError: it is unknown.
        """
        found = self._find(request)
        return {"state": found.state, "message": found.message}

    async def paste(self, request: Request) -> Json:
        """Give the address that the browser was sent to, where it is not on this machine.

        Raises:
            AccountError: it is not the answer to this sign-in.
            RequestError: the sign-in is unknown.
        """
        found = self._find(request)
        code = code_of(found.sign_in, msgspec.json.decode(await request.body(), type=_Pasted).address)
        if not found.answered.done():
            found.answered.set_result(code)
        return {"state": found.state, "message": found.message}

    def _find(self, request: Request) -> _Waiting:
        found = self._known.get(request.path_params["id"])
        if found is None:
            raise RequestError(Failure(kind="not_found", message="this sign-in is no longer known: begin again"))
        return found
