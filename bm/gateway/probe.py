"""`bm test`: sends one small request to each account of each provider in use, and reports what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from bm.accounts.account import Access, Account, check, remedy_for
from bm.accounts.credentials import Credential, resolved
from bm.accounts.google import NO_TOKEN, TokenError
from bm.accounts.tokens import Tokens
from bm.chat.parts import Text
from bm.chat.request import ChatRequest, Turn
from bm.config.secrets import Mask
from bm.config.validation import nearest
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.refusal import KEY_FAILURES
from bm.dispatch.target import Target
from bm.errors import AccountError, Failure
from bm.gateway.adapter import Adapter
from bm.gateway.attempt import MAX_ERROR_BYTES, UNAUTHENTICATED, naming_project
from bm.gateway.call import Call
from bm.gateway.settings import Rules, Settings
from bm.gateway.stores import SignatureStore
from bm.gateway.upstream_call import UpstreamCall
from bm.ledger.prices import cost_of
from bm.protocols.errors import decode_error
from bm.protocols.passthrough import ResponsePipe
from bm.providers.provider import Provider
from bm.upstream.client import UpstreamClient, UpstreamError
from bm.upstream.discovery import ListedModel, Refused, list_models
from bm.upstream.fetch import token_fetcher

MAX_TOKENS = 64
NO_LIST = (404, 405)
"""Statuses of services without a list of models: one that is mapped to is asked."""
MAX_PARALLEL = 8
_PREFERENCE = ("haiku", "default", "sonnet", "opus")
"""Families from the cheapest up; the first that the provider lists is asked."""


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


OnResult = Callable[[Target, AccountEffect], None]
"""Called with the effect of each probe on its account."""


async def probe_all(
    client: UpstreamClient,
    settings: Settings,
    names: Collection[str] = (),
    tokens: Tokens | None = None,
    on_result: OnResult = lambda target, effect: None,
) -> list[Probe]:
    """Probe each account of each provider in use, or those whose provider or account is named.

    `tokens` are those of the running daemon; without them, access tokens are obtained for this call.
    """
    slots = asyncio.Semaphore(MAX_PARALLEL)
    access_tokens = tokens or Tokens(settings.vault.accounts, token_fetcher(client, lambda: settings.config))

    async def probe(credential: Credential) -> Probe:
        async with slots:
            return await _Prober(client, settings, credential, access_tokens, on_result).run()

    chosen = [each for each in settings.credentials if is_chosen(each, settings, names)]
    try:
        probes = list(await asyncio.gather(*(probe(credential) for credential in chosen)))
    finally:
        if tokens is None:
            await access_tokens.close()
    return probes + without_account(settings, names)


async def try_key(client: UpstreamClient, settings: Settings, account: Account, environ: Mapping[str, str]) -> Probe:
    """Probe an account that is not saved yet. A provider that is merely busy does not make the key bad.

    Raises:
        AccountError: the key is refused, or the provider cannot be reached.
        ConfigError: a reference cannot be resolved.
    """
    check(account)
    credential = await asyncio.to_thread(resolved, account, environ)
    alone = msgspec.structs.replace(settings, credentials=(credential,))
    (result,) = await probe_all(client, alone, [account.name])
    if not result.key_accepted:
        raise AccountError(f"{account.provider}: {result.error}")
    return result


def is_chosen(credential: Credential, settings: Settings, names: Collection[str]) -> bool:
    """Whether an account is to be probed: it or its provider is named, or is in use where none is.

    Of several accounts of one name, `provider/name` is one.
    """
    account = credential.account
    if names:
        return not {account.provider, account.name, f"{account.provider}/{account.name}"}.isdisjoint(names)
    return account.enabled and settings.providers[account.provider].enabled


def without_account(settings: Settings, names: Collection[str]) -> list[Probe]:
    """Providers in use that have no account, or names that stand for nothing."""
    probed = {each.account.provider for each in settings.credentials if is_chosen(each, settings, names)}
    missing = [p.name for p in settings.providers.values() if p.enabled and p.mode != "off" and not p.pool]
    if names:
        accounts = [each.account for each in settings.credentials]
        known = {name for each in accounts for name in (each.name, f"{each.provider}/{each.name}")} | probed
        missing = [name for name in names if name not in known]
    return [_not_probed(settings, name) for name in missing if name not in probed]


def _not_probed(settings: Settings, name: str) -> Probe:
    if name == "gemini":
        return Probe(provider=name, account="", error="the pool has no account", remedy="bm accounts add NAME")
    if name in settings.providers:
        return Probe(provider=name, account="", error="it has no key", remedy=f"bm providers key {name}")
    names = [*settings.providers, *(each.account.name for each in settings.credentials)]
    remedy = nearest(name, names) or "bm providers and bm accounts list them"
    return Probe(provider=name, account="", error="no provider or account has this name", remedy=remedy)


class _Prober:
    """Probes one account."""

    def __init__(
        self, client: UpstreamClient, settings: Settings, credential: Credential, tokens: Tokens, on_result: OnResult
    ) -> None:
        account = credential.account
        self._client, self._credential, self._tokens, self._on_result = client, credential, tokens, on_result
        self._access = Access()
        self._provider: Provider = settings.providers[account.provider]
        self._timeouts = settings.config.timeouts_for(account.provider).alone
        self._proxy = settings.config.proxy_for(account.provider)
        self.probe = Probe(provider=account.provider, account=account.name)

    async def run(self) -> Probe:
        """Send the request. What the provider does is reported, never raised."""
        if problem := self._credential.problem:
            self.probe.error, self.probe.remedy = problem, self._with_console(problem)
            return self.probe
        try:
            self._access = await self._tokens.access(self._credential)
            self.probe.model = _cheapest(self._provider, await self._models())
            self.probe.key_accepted = True
            upstream, pipe = self._prepare()
            await self._send(upstream, pipe)
            self._on_result(self._target, classify(None).account)
        except Refused as error:
            self._fail(decode_error(error.status, error.headers, error.body))
        except (UpstreamError, TokenError) as error:
            self._fail(error.failure)
        except TimeoutError:
            self._fail(Failure(kind="timeout", message=f"the answer stopped for {self._timeouts.idle:g} s"))
        return self.probe

    @property
    def _target(self) -> Target:
        return Target(self._provider.name, self.probe.account, self.probe.model, self._provider.protocol)

    async def _models(self) -> Sequence[ListedModel]:
        try:
            listed = await self._list_models()
        except Refused as error:
            if error.status in NO_LIST and (self._provider.models or self._provider.words):
                return ()
            if error.status != UNAUTHENTICATED or not self._access.bearer:
                raise
            # The access token has expired before its time: only a new one shows whether the account works.
            self._access = await self._tokens.access(self._credential, refused=self._access.key)
            listed = await self._list_models()
        return [model for model in listed if model.generates]

    async def _list_models(self) -> Sequence[ListedModel]:
        return await list_models(self._client, self._provider, self._access, self._timeouts, self._proxy)

    def _prepare(self) -> tuple[UpstreamCall, ResponsePipe]:
        """A streamed request as a client of the provider's own protocol would have it translated."""
        protocol, model = self._provider.protocol, self.probe.model
        call = Call(id="", protocol=protocol, operation="generate", headers=[], body=b"", model=model, stream=True)
        adapter = Adapter(call, SignatureStore(), Rules())
        adapter.chat = ChatRequest(
            protocol=protocol,
            model=model,
            turns=(Turn("user", (Text("Reply with the word: ready"),)),),
            max_tokens=MAX_TOKENS,
            stream=True,
            stream_usage=True,
        )
        upstream = adapter.translate(adapter.chat, Attempt(target=self._target), self._provider, self._access)
        return upstream, adapter.pipe(upstream)

    async def _send(self, upstream: UpstreamCall, pipe: ResponsePipe) -> None:
        """Send the request and read its response.

        Raises:
            UpstreamError: the provider did not answer.
            TimeoutError: the answer stopped.
        """
        began = time.monotonic()
        response = await self._client.open(upstream.request, self._timeouts, self._proxy)
        try:
            if response.status != 200:
                body = await response.read(MAX_ERROR_BYTES)
                raise UpstreamError(decode_error(response.status, dict(response.headers), body))
            more = True
            while more:
                async with asyncio.timeout(self._timeouts.idle or None):
                    chunk = await response.read_some()
                more = bool(chunk)
                _ = pipe.feed(chunk) if more else pipe.close()
                if pipe.watch.begun and self.probe.first_token is None:
                    self.probe.first_token = time.monotonic() - began
        finally:
            response.close()
        self.probe.total = time.monotonic() - began
        if pipe.watch.failure is not None:
            raise UpstreamError(pipe.watch.failure)
        self.probe.ok = True
        if (usage := pipe.watch.usage) is not None:
            self.probe.input_tokens, self.probe.output_tokens = usage.prompt, usage.output
            self.probe.cost = await asyncio.to_thread(cost_of, self._provider.name, self.probe.model, usage)

    def _fail(self, failure: Failure) -> None:
        """Report a failure and its remedy. The upstream's message may quote the key."""
        failure = naming_project(failure, self._access)
        if failure.code != NO_TOKEN or failure.kind in KEY_FAILURES:
            self._on_result(self._target, classify(failure).account)
        remedy = remedy_for(self._credential.account, failure.message)
        message = failure.message.removesuffix(f" ({remedy})")
        self.probe.error = Mask((self._credential.secret, self._access.key))(message)
        if failure.kind in KEY_FAILURES:
            self.probe.key_accepted = False
            self.probe.remedy = self._with_console(failure.message)
        elif failure.kind in ("rate_limited", "quota_exhausted"):
            self.probe.key_accepted = True
            wait = f" in {failure.retry_after:.0f} s" if failure.retry_after else " later"
            self.probe.remedy = f"try again{wait}; `bm accounts` shows which accounts are cooling down"
        elif failure.kind in ("connection", "timeout", "blocked"):
            self.probe.remedy = f"check base_url of {self._provider.name}, the network and [upstream_proxy]"

    def _with_console(self, problem: str) -> str:
        """The remedy for a problem with the key, and where the provider hands out keys."""
        account, console = self._credential.account, self._provider.console
        remedy = remedy_for(account, problem)
        return f"{remedy} (a key: {console})" if console and account.kind == "api_key" else remedy


def _cheapest(provider: Provider, listed: Sequence[ListedModel]) -> str:
    """The cheapest model of the provider's own mapping that it lists, or else the first that it lists.

    Raises:
        UpstreamError: there is none.
    """
    names = {model.id for model in listed}
    mapped = [(provider.models | provider.words).get(family, "") for family in _PREFERENCE]
    candidates = (
        [name for name in mapped if name in names] or [model.id for model in listed] or list(filter(None, mapped))
    )
    if not candidates:
        raise UpstreamError(Failure(kind="not_found", message="it lists no model that generates text"))
    return candidates[0]
