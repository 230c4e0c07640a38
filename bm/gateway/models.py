"""Which models can be had through bm, from the lists of its providers."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from bm.accounts.account import AccountId
from bm.accounts.google import TokenError
from bm.accounts.pool import Pool
from bm.accounts.tokens import Tokens
from bm.chat.parts import Json
from bm.errors import Failure, RequestError
from bm.gateway.learned import ContextLimits, fingerprint
from bm.gateway.settings import Settings
from bm.names import ProtocolName
from bm.protocols.model_list import ModelCard, entry, listing
from bm.providers.provider import Provider
from bm.providers.resolve import disguised
from bm.upstream.client import UpstreamClient, UpstreamError
from bm.upstream.discovery import ListedModel, Refused, list_models

FRESH = 600.0
"""Seconds a provider's list is taken for true."""
PATIENCE = 10.0
"""Seconds a caller waits for the lists of all providers; what is late is in the next answer."""
SETTLE = 0.3
"""Seconds between a change and the questions it leads to: edits come in bursts."""
RENEWAL = 6 * 3600.0
"""Seconds after which lists that nobody asked for are read again: vendors add models."""
RETRIES = (30.0, 120.0, 600.0)
"""Pauses before a list that could not be had is asked for again, as after a start without a network."""

_log = logging.getLogger("bm.models")


class Models:
    """The lists of all providers in use, each asked for when somebody wants it and it is no longer fresh."""

    def __init__(
        self, settings: Settings, client: UpstreamClient, pool: Pool, tokens: Tokens, context_limits: ContextLimits
    ) -> None:
        self._settings, self._client, self._pool, self._tokens = settings, client, pool, tokens
        self._context_limits = context_limits
        self._lists: dict[str, tuple[ListedModel, ...]] = {}
        self._read_at: dict[str, float] = {}
        self._outputs: dict[tuple[str, str], int] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def all(self) -> tuple[ListedModel, ...]:
        """Every model of every provider in use, in the order of dispatch."""
        in_use = self._in_use()
        asked = [self._ask(provider, logging.WARNING) for provider in in_use if not self._is_fresh(provider)]
        if asked:
            await asyncio.wait(asked, timeout=PATIENCE)
        return tuple(model for provider in in_use for model in self._lists.get(provider.name, ()))

    async def keep_learned(self) -> None:
        """Have the lists before anybody asks for them, now and after each change, for ever.

        Dispatch needs them: whether a provider's `default` answers for a name depends on what the provider has.
        """
        while True:
            self._changed.clear()
            await asyncio.sleep(SETTLE)
            if self._settings.config.pool.learn_models:
                await self._learn()
            await self._pause(RENEWAL)
            self._context_limits.expire(time.time())

    async def _learn(self) -> None:
        for pause in (*RETRIES, 0.0):
            missing = [provider for provider in self._in_use() if self._is_usable(provider)]
            asked = [self._ask(provider, logging.DEBUG) for provider in missing if not self._is_fresh(provider)]
            if asked:
                await asyncio.wait(asked)
            if all(map(self._is_fresh, missing)) or await self._pause(pause):
                return

    async def _pause(self, seconds: float) -> bool:
        """Wait, but not beyond the next change; whether there was one."""
        try:
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 can swallow a cancellation
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _in_use(self) -> list[Provider]:
        return [provider for provider in self._settings.providers.values() if _in_use(provider)]

    def _is_usable(self, provider: Provider) -> bool:
        accounts = self._pool.states(time.monotonic()).get(provider.name, ())
        return any(not account.disabled for account in accounts)

    def _is_fresh(self, provider: Provider) -> bool:
        return time.monotonic() - self._read_at.get(provider.name, -FRESH) < FRESH

    def _ask(self, provider: Provider, level: int) -> asyncio.Task[None]:
        """The question for a provider's list; one at a time, whoever wants to know."""
        task = self._asking.get(provider.name)
        if task is None or task.done():
            task = self._asking[provider.name] = asyncio.ensure_future(self._refresh(provider, level))
        return task

    async def _refresh(self, provider: Provider, level: int) -> None:
        """Ask with the first account that works. Vertex AI's list tells least, so its accounts come last."""
        config = self._settings.config
        timeouts, proxy = config.timeouts_for(provider.name), config.proxy_for(provider.name)
        accounts = self._pool.states(time.monotonic()).get(provider.name, ())
        account_ids = [(provider.name, account.name) for account in accounts if not account.disabled]
        for account_id in sorted(account_ids, key=self._is_vertex):
            credential = self._pool.credential(account_id)
            if credential is None:
                continue
            try:
                access = await self._tokens.access(credential)
                found = await list_models(self._client, provider, access, timeouts, proxy)
            except TokenError as error:
                _log.log(level, "%s does not list its models for %s: %s", *account_id, error)
                continue
            except UpstreamError as error:
                _log.log(level, "%s does not list its models: %s", provider.name, error.failure.message)
                continue
            except Refused as error:
                _log.log(level, "%s does not list its models for %s: status %d", *account_id, error.status)
                continue
            if found:
                self._learned(provider, account_id, found)
                return
            _log.log(level, "%s lists no models for %s", *account_id)

    def _learned(self, provider: Provider, account_id: AccountId, found: tuple[ListedModel, ...]) -> None:
        current = self._settings.providers.get(provider.name)
        if current is None or fingerprint(current) != fingerprint(provider):
            return  # another service by now
        self._lists[provider.name] = found
        self._context_limits.set_listed(provider.name, {model.id: model.context for model in found})
        for model in found:
            self._outputs[provider.name, model.id] = model.max_output
        self._read_at[provider.name] = time.monotonic()
        # Taken for the list of the other accounts too, but not across the border to Vertex AI.
        names, vertex = frozenset(model.id for model in found), self._is_vertex(account_id)
        for account in self._pool.states(time.monotonic()).get(provider.name, ()):
            other = (provider.name, account.name)
            if self._is_vertex(other) == vertex:
                self._pool.learn_models(other, names)

    def _is_vertex(self, account_id: AccountId) -> bool:
        credential = self._pool.credential(account_id)
        return credential is not None and bool(credential.account.location)

    def max_output(self, provider: str, model: str) -> int:
        """The most tokens that a model answers, as its provider's list has it; 0 when it says nothing."""
        return self._outputs.get((provider, model), 0)

    def apply(self, settings: Settings) -> None:
        """Use new settings. Drop what is known of a provider that is another service now."""
        before, self._settings = self._settings, settings
        for name, provider in before.providers.items():
            current = settings.providers.get(name)
            if current is None or fingerprint(current) != fingerprint(provider):
                self._lists.pop(name, None)
                self._context_limits.forget(name)
                self._outputs = {key: tokens for key, tokens in self._outputs.items() if key[0] != name}
                if question := self._asking.pop(name, None):
                    question.cancel()
                self._pool.forget_models(name)
        self._read_at.clear()
        self._changed.set()

    async def cards(self) -> list[ModelCard]:
        """What clients can ask for: Gemini's names as they are, others with the prefix that leads to them, aliases."""
        providers = self._settings.providers
        cards = [_card(model, providers[model.provider]) for model in await self.all() if model.generates]
        aliases = self._settings.config.aliases
        cards += [ModelCard(id=name, owner="alias", title=f"{name} ({meant})") for name, meant in aliases.items()]
        return cards

    async def listing(self, protocol: ProtocolName, model: str = "", query: str = "") -> Json:
        """The list, or the page of it that `query` asks for, or one model, in the caller's shape.

        To Anthropic's clients every model is listed under a name, too, that Claude Code does not pass over.

        Raises:
            RequestError: there is no such model.
        """
        cards = await self.cards()
        if protocol == "anthropic":
            hidden = [card for card in cards if disguised(card.id) != card.id]
            cards += [msgspec.structs.replace(card, id=disguised(card.id), title=_titled(card)) for card in hidden]
        if not model:
            return listing(protocol, cards, query)
        for card in cards:
            if card.id == model or card.id.partition(":")[2] == model:
                return entry(protocol, card)
        message = f"there is no model {model!r} here; `bm models` lists those that are"
        raise RequestError(Failure(kind="not_found", message=message, param="model"))


def _in_use(provider: Provider) -> bool:
    return provider.enabled and (provider.pool or provider.mode != "off")


def _titled(card: ModelCard) -> str:
    return card.title or card.id


def _card(model: ListedModel, provider: Provider) -> ModelCard:
    """Limits as the provider's list has them, else as the configuration and the tables do."""
    own = model.provider in ("gemini", "anthropic")
    known = provider.capabilities(provider.protocol, model.id)
    return ModelCard(
        id=model.id if own else f"{model.provider}:{model.id}",
        owner=model.provider,
        title=model.title,
        context=model.context or known.context,
        max_output=model.max_output or known.max_output,
        created=model.created,
    )
