"""`bm test`: one small real request to each account of each provider in use, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import msgspec

from bm import sse
from bm.accounts.account import Access, remedy_for
from bm.accounts.credentials import Credential
from bm.accounts.google import NO_TOKEN, TokenError
from bm.accounts.tokens import Tokens
from bm.chat.events import Usage
from bm.chat.parts import Text
from bm.chat.request import ChatRequest, Turn
from bm.config.secrets import Mask
from bm.dispatch.classify import classify
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.refusal import KEY_TROUBLE
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.attempt import UNAUTHENTICATED, naming_project
from bm.gateway.call import new_id
from bm.gateway.settings import Settings
from bm.ledger.prices import cost_of
from bm.protocols.codec import IdFactory
from bm.protocols.passthrough import Watch
from bm.protocols.registry import upstream_codec
from bm.providers.provider import Provider
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest, UpstreamResponse
from bm.upstream.discovery import ListedModel, Refused, list_models
from bm.upstream.endpoint import own_headers, url
from bm.upstream.fetch import token_fetcher

MAX_TOKENS = 64
AT_ONCE = 8
_PREFERENCE = ("haiku", "default", "sonnet", "opus")
"""Families from the cheapest up; the first that the provider's list holds is asked."""


class Probe(msgspec.Struct, kw_only=True):
    """What came of one account. Times are seconds, `cost` is US dollars; None where it is not known."""

    provider: str
    account: str
    ok: bool = False
    key_accepted: bool | None = None
    model: str = ""
    first_token: float | None = None
    total: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    error: str = ""
    remedy: str = ""


Ended = Callable[[Target, AccountEffect], None]
"""Told of what each probe means for its account."""


async def probe_all(
    client: UpstreamClient,
    settings: Settings,
    names: Collection[str] = (),
    tokens: Tokens | None = None,
    ended: Ended = lambda target, effect: None,
) -> list[Probe]:
    """Probe each account of each provider in use, or those whose provider or account is named.

    `tokens` are the running daemon's; without one, access tokens are had for the occasion.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    purse = tokens or Tokens(settings.accounts_file, token_fetcher(client, lambda: settings.config))

    async def one(credential: Credential) -> Probe:
        async with gate:
            return await _Prober(client, settings, credential, purse, ended).run()

    chosen = [each for each in settings.credentials if _chosen(each, settings, names)]
    try:
        results = list(await asyncio.gather(*(one(credential) for credential in chosen)))
    finally:
        if tokens is None:
            await purse.close()
    return results + _without_account(settings, names, {each.account.provider for each in chosen})


def _chosen(credential: Credential, settings: Settings, names: Collection[str]) -> bool:
    account = credential.account
    if names:
        return account.provider in names or account.name in names
    return account.enabled and settings.providers[account.provider].enabled


def _without_account(settings: Settings, names: Collection[str], seen: set[str]) -> list[Probe]:
    """Providers that should be probed but have no account, and names that nothing has."""
    missing = [p.name for p in settings.providers.values() if p.enabled and p.mode != "off" and not p.pool]
    if names:
        known = {each.account.name for each in settings.credentials} | seen
        missing = [name for name in names if name not in known]
    return [_keyless(settings, name) for name in missing if name not in seen]


def _keyless(settings: Settings, name: str) -> Probe:
    if name == "gemini":
        return Probe(provider=name, account="", error="the pool has no account", remedy="bm accounts add NAME")
    if name in settings.providers:
        return Probe(provider=name, account="", error="it has no key", remedy=f"bm providers key {name}")
    return Probe(provider=name, account="", error="no provider or account has this name", remedy="bm providers")


class _Failed(Exception):
    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class _Prober:
    def __init__(
        self, client: UpstreamClient, settings: Settings, credential: Credential, tokens: Tokens, ended: Ended
    ) -> None:
        account = credential.account
        self._client, self._credential, self._tokens, self._ended = client, credential, tokens, ended
        self._access = Access()
        self._provider: Provider = settings.providers[account.provider]
        self._timeouts = settings.config.timeouts_for(account.provider)
        self._proxy = settings.config.proxy_for(account.provider)
        self._codec = upstream_codec(self._provider.protocol, self._provider.dialect)
        self.probe = Probe(provider=account.provider, account=account.name)

    async def run(self) -> Probe:
        """Probe; never raises for what a provider does."""
        if self._credential.problem:
            problem = self._credential.problem
            self.probe.error, self.probe.remedy = (
                problem,
                self._with_console(remedy_for(self._credential.account, problem)),
            )
            return self.probe
        try:
            self._access = await self._tokens.access(self._credential)
            self.probe.model = _cheapest(self._provider, await self._models())
            self.probe.key_accepted = True
            await self._ask()
            self._ended(self._target, classify(None).account)
        except Refused as error:
            self._told(self._codec.decode_error(error.status, error.headers, error.body))
        except UpstreamError as error:
            self._told(error.failure)
        except (TokenError, _Failed) as error:
            self._told(error.failure)
        except TimeoutError:
            silent = f"the answer stopped for {self._timeouts.idle:g} s"
            self._told(Failure(kind="timeout", message=silent))
        return self.probe

    @property
    def _target(self) -> Target:
        return Target(self._provider.name, self.probe.account, self.probe.model, self._provider.protocol)

    async def _models(self) -> Sequence[ListedModel]:
        try:
            listed = await self._listed()
        except Refused as error:
            if error.status != UNAUTHENTICATED or not self._access.bearer:
                raise
            # The token has ended before its time; whether the account works, a new one tells.
            self._access = await self._tokens.access(self._credential, refused=self._access.key)
            listed = await self._listed()
        return [model for model in listed if model.generates]

    async def _listed(self) -> Sequence[ListedModel]:
        return await list_models(self._client, self._provider, self._access, self._timeouts, self._proxy)

    async def _ask(self) -> None:
        began = time.monotonic()
        response = await self._client.open(self._request(), self._timeouts, self._proxy)
        try:
            if response.status != 200:
                body = await response.read(1 << 20)
                raise _Failed(self._codec.decode_error(response.status, dict(response.headers), body))
            watch = await self._read(response, began)
        finally:
            response.close()
        self.probe.total = time.monotonic() - began
        if watch.failure is not None:
            raise _Failed(watch.failure)
        self.probe.ok = True
        self._count(watch.usage)

    def _request(self) -> UpstreamRequest:
        provider, model = self._provider, self.probe.model
        request = ChatRequest(
            protocol=provider.protocol,
            model=model,
            turns=(Turn("user", (Text("Reply with the word: ready"),)),),
            max_tokens=MAX_TOKENS,
            stream=True,
            stream_usage=True,
        )
        capabilities = provider.capabilities(provider.protocol, model)
        encoded = self._codec.encode_request(request, capabilities, model=model)
        query = "alt=sse" if provider.protocol == "gemini" else ""
        address = url(provider, self._target, "generate", self._access, stream=True, query=query)
        headers = own_headers(provider, self._access, encoded.headers)
        return UpstreamRequest(provider.name, "POST", address, headers, msgspec.json.encode(encoded.body))

    async def _read(self, response: UpstreamResponse, began: float) -> Watch:
        parser, decoder, watch = sse.Parser(), self._codec.stream_decoder(IdFactory(new_id)), Watch()
        more = True
        while more:
            async with asyncio.timeout(self._timeouts.idle or None):
                chunk = await response.read_some()
            more = bool(chunk)
            parsed = parser.feed(chunk) if more else parser.close()
            events = [event for item in parsed for event in decoder.feed(item)]
            for event in events if more else [*events, *decoder.close()]:
                watch.see(event)
            if watch.begun and self.probe.first_token is None:
                self.probe.first_token = time.monotonic() - began
        return watch

    def _count(self, usage: Usage | None) -> None:
        if usage is not None:
            self.probe.input_tokens, self.probe.output_tokens = usage.prompt, usage.output
            self.probe.cost = cost_of(self._provider.name, self.probe.model, usage)

    def _told(self, failure: Failure) -> None:
        """The upstream's words, which may quote the key, and what to do about them."""
        failure = naming_project(failure, self._access)
        effect = classify(failure).account
        if failure.code != NO_TOKEN or failure.kind in KEY_TROUBLE:
            self._ended(self._target, effect)
        remedy = remedy_for(self._credential.account, failure.message)
        words = failure.message.removesuffix(f" ({remedy})")
        self.probe.error = Mask((self._credential.secret, self._access.key))(words)
        if failure.kind in KEY_TROUBLE:
            self.probe.key_accepted = False
            self.probe.remedy = self._with_console(remedy)
        elif failure.kind in ("rate_limited", "quota_exhausted"):
            self.probe.key_accepted = True
            wait = f" in {failure.retry_after:.0f} s" if failure.retry_after else " later"
            self.probe.remedy = f"try again{wait}; `bm accounts` shows what rests"
        elif failure.kind in ("connection", "timeout"):
            self.probe.remedy = f"check base_url of {self._provider.name}, the network and [upstream_proxy]"

    def _with_console(self, remedy: str) -> str:
        console = self._provider.console
        return f"{remedy} (a key: {console})" if console and self._credential.account.kind == "api_key" else remedy


def _cheapest(provider: Provider, listed: Sequence[ListedModel]) -> str:
    """The cheapest of the provider's own mapping that its list holds, else the first of the list."""
    names = {model.id for model in listed}
    wanted = [(provider.models | provider.words).get(family, "") for family in _PREFERENCE]
    for name in wanted:
        if name in names:
            return name
    if listed:
        return listed[0].id
    if not any(wanted):
        raise _Failed(Failure(kind="not_found", message="it lists no model that answers chats"))
    return next(name for name in wanted if name)
