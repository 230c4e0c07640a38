"""The models that can be had through bm, from the model lists of its providers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

import msgspec

from bm.accounts.account import Access
from bm.accounts.google import TokenError
from bm.accounts.pool import Pool
from bm.accounts.tokens import Tokens
from bm.chat.parts import Json
from bm.config.chains import described
from bm.dispatch.target import AccountId
from bm.errors import Failure, RequestError
from bm.gateway.learned import ContextLimits, LearnedRemedies, fingerprint
from bm.gateway.settings import Settings
from bm.keys.key import MAIN, Key
from bm.names import ProtocolName
from bm.protocols.model_list import ModelCard, entry, listing
from bm.providers.listing import Facts
from bm.providers.provider import Provider
from bm.providers.resolve import disguised
from bm.tasks import spawn
from bm.upstream.client import UpstreamClient, UpstreamError
from bm.upstream.discovery import ListedModel, Refused, list_models, list_wires

FRESH = 600.0
"""Seconds for which a list is used without being read again."""
MAX_WAIT = 10.0
"""Seconds a caller waits for the lists of all providers. A later list is in the next response."""
SETTLE = 0.3
"""Seconds from a change of settings until lists are read: edits come in bursts."""
RENEWAL = 6 * 3600.0
"""Seconds after which all lists are read again: vendors add models."""
RETRIES = (30.0, 120.0, 600.0)
"""Pauses before a list that could not be read is tried again, as after a start without a network."""

_log = logging.getLogger("bm.models")


class Lists(Protocol):
    """The model lists that the nodes of a team have read: one of them asks for all."""

    async def once(
        self, provider: Provider, fresh: float, read: Callable[[], Awaitable[ReadList | None]]
    ) -> ReadList | None:
        """What another node has read within so many seconds, or else the result of `read`."""


class ReadList(msgspec.Struct, frozen=True):
    """A provider's models, and the account that has read them."""

    account: AccountId
    models: tuple[ListedModel, ...]


class Models:
    """The model lists of all providers in use. Each is read when it is needed and no longer fresh.

    `version` grows when what dispatch decides by may have changed; what is learned has versions of its own.
    """

    def __init__(
        self,
        settings: Settings,
        client: UpstreamClient,
        pool: Pool,
        tokens: Tokens,
        context_limits: ContextLimits,
        remedies: LearnedRemedies,
    ) -> None:
        self._settings, self._client, self._pool, self._tokens = settings, client, pool, tokens
        self._context_limits, self._remedies = context_limits, remedies
        self.version = 0
        self.lists: Lists | None = None
        self._lists: dict[str, dict[str, ListedModel]] = {}
        self._wires: dict[str, tuple[ProtocolName, ...]] = {}
        self._facts: dict[str, dict[str, Facts]] = {}
        self._read_at: dict[str, float] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()

    async def all(self) -> tuple[ListedModel, ...]:
        """Every model of every provider in use, in the order of dispatch."""
        providers = self._in_use()
        if tasks := self._read_stale(providers, logging.WARNING, FRESH):
            await asyncio.wait(tasks, timeout=MAX_WAIT)
        return tuple(model for provider in providers for model in self._lists.get(provider.name, {}).values())

    def facts(self, provider: str) -> Mapping[str, Facts]:
        """What the provider's list says of its models' capabilities and longest answers, by model."""
        listed, learned = self._facts.get(provider, {}), self._remedies.facts(provider)
        if not learned:
            return listed
        return {**listed, **{model: {**listed.get(model, {}), **facts} for model, facts in learned.items()}}

    def wires(self, provider: str) -> tuple[ProtocolName, ...]:
        """The protocols that a local server was found to speak beside its own."""
        return self._wires.get(provider, ())

    async def keep_fresh(self) -> None:
        """Read lists before they are needed: now, after each change of settings, and every `RENEWAL` seconds.

        Dispatch needs them: a provider's `default` model stands in for the names that the provider does not list.
        """
        while True:
            self._changed.clear()
            await asyncio.sleep(SETTLE)
            if self._settings.config.pool.learn_models:
                await self._read_all()
            await self._sleep(RENEWAL)
            self._context_limits.expire(time.time())
            self._remedies.expire(time.time())

    async def _read_all(self) -> None:
        for pause in (*RETRIES, 0.0):
            states = self._pool.states(time.monotonic())
            usable = {name for name, accounts in states.items() if any(not account.disabled for account in accounts)}
            wanted = [provider for provider in self._in_use() if provider.name in usable]
            if tasks := self._read_stale(wanted, logging.DEBUG, RENEWAL / 2):
                await asyncio.wait(tasks)
            asked = await self._ask_local()
            if (asked and all(map(self._is_fresh, wanted))) or await self._sleep(pause):
                return

    async def _ask_local(self) -> bool:
        """Ask local servers which protocols they speak. Whether all have answered."""
        config, complete = self._settings.config, True
        for provider in self._in_use():
            if not provider.local or provider.name in self._wires:
                continue
            accounts = self._pool.states(time.monotonic()).get(provider.name, ())
            credential = self._pool.credential((provider.name, accounts[0].name)) if accounts else None
            timeouts, proxy = config.timeouts_for(provider.name).alone, config.proxy_for(provider.name)
            try:
                access = Access() if credential is None else await self._tokens.access(credential)
                self._wires[provider.name] = await list_wires(self._client, provider, access, timeouts, proxy)
                self.version += 1
            except (TokenError, UpstreamError):
                complete = False
        return complete

    async def _sleep(self, seconds: float) -> bool:
        """Sleep until the next change of settings at most. Whether there was one."""
        try:
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 can swallow a cancellation
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _in_use(self) -> list[Provider]:
        providers = self._settings.providers.values()
        return [each for each in providers if each.enabled and (each.pool or each.mode != "off")]

    def _is_fresh(self, provider: Provider) -> bool:
        return time.monotonic() - self._read_at.get(provider.name, -FRESH) < FRESH

    def _read_stale(self, providers: list[Provider], level: int, fresh: float) -> list[asyncio.Task[None]]:
        """Tasks that read the lists that are not fresh, one for each provider however many callers wait for it.

        What another node has read within `fresh` seconds will do.
        """
        stale = [provider for provider in providers if not self._is_fresh(provider)]
        for provider in stale:
            task = self._reading.get(provider.name)
            if task is None or task.done():
                self._reading[provider.name] = spawn(
                    self._read(provider, level, fresh), f"reading the models of {provider.name}"
                )
        return [self._reading[provider.name] for provider in stale]

    async def _read(self, provider: Provider, level: int, fresh: float) -> None:
        """Read a list, or take over what another node has read."""
        if self.lists is None:
            found = await self._listed(provider, level)
        else:
            found = await self.lists.once(provider, fresh, partial(self._listed, provider, level))
        if found is not None:
            self._store(provider, found.account, found.models)

    async def _listed(self, provider: Provider, level: int) -> ReadList | None:
        """Read a list with the first account that can. Vertex AI's accounts come last: their list says least."""
        config = self._settings.config
        timeouts, proxy = config.timeouts_for(provider.name).alone, config.proxy_for(provider.name)
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
                problem = str(error)
            except UpstreamError as error:
                problem = error.failure.message
            except Refused as error:
                problem = f"status {error.status}"
            else:
                if found:
                    return ReadList(account_id, found)
                problem = "the list is empty"
            _log.log(level, "%s does not list its models for %s: %s", *account_id, problem)
        return None

    def _store(self, provider: Provider, account_id: AccountId, found: tuple[ListedModel, ...]) -> None:
        if not self._is_same(provider, self._settings):
            return
        self._lists[provider.name] = {model.id: model for model in found}
        self._facts[provider.name] = {model.id: model.facts for model in found}
        self.version += 1
        self._context_limits.set_listed(provider.name, {model.id: model.context for model in found})
        self._read_at[provider.name] = time.monotonic()
        # The list holds for the provider's other accounts too, but not for both Vertex AI and the Gemini API.
        names, vertex = frozenset(model.id for model in found), self._is_vertex(account_id)
        for account in self._pool.states(time.monotonic()).get(provider.name, ()):
            other = (provider.name, account.name)
            if self._is_vertex(other) == vertex:
                self._pool.learn_models(other, names)

    def _is_vertex(self, account_id: AccountId) -> bool:
        credential = self._pool.credential(account_id)
        return credential is not None and bool(credential.account.location)

    def apply(self, settings: Settings) -> None:
        """Use new settings. Drop what is known of a provider that is another service now."""
        before, self._settings = self._settings, settings
        self.version += 1
        for name, provider in before.providers.items():
            if self._is_same(provider, settings):
                continue
            self._lists.pop(name, None)
            self._wires.pop(name, None)
            self._facts.pop(name, None)
            self._context_limits.forget(name)
            self._remedies.forget(name)
            self._pool.forget_models(name)
            if task := self._reading.pop(name, None):
                task.cancel()
        self._read_at.clear()
        self._changed.set()

    @staticmethod
    def _is_same(provider: Provider, settings: Settings) -> bool:
        """Whether the provider's name still stands for the same service."""
        current = settings.providers.get(provider.name)
        return current is not None and fingerprint(current) == fingerprint(provider)

    async def cards(self) -> list[ModelCard]:
        """What clients can ask for: Gemini's and Anthropic's models, others with their provider's prefix, aliases."""
        providers = self._settings.providers
        cards = [_card(model, providers[model.provider]) for model in await self.all() if model.generates]
        aliases = self._settings.config.aliases
        return cards + [
            ModelCard(id=name, owner="alias", title=f"{name} ({described(chain)})") for name, chain in aliases.items()
        ]

    async def listing(self, protocol: ProtocolName, model: str = "", query: str = "", key: Key = MAIN) -> Json:
        """The list of models, the page of it that `query` asks for, or one model, in the client's protocol.

        Only those that requests with `key` may name and that it may use count.

        Anthropic's clients get every model under a second name, since Claude Code ignores those of other vendors.

        Raises:
            RequestError: there is no such model.
        """
        cards = [card for card in await self.cards() if key.lists(card.owner, card.id)]
        if protocol == "anthropic":
            ignored = [card for card in cards if disguised(card.id) != card.id]
            cards += [
                msgspec.structs.replace(card, id=disguised(card.id), title=card.title or card.id) for card in ignored
            ]
        if not model:
            return listing(protocol, cards, query)
        for card in cards:
            if card.id == model or card.id.partition(":")[2] == model:
                return entry(protocol, card)
        message = f"there is no model {model!r} here; `bm models` lists those that are"
        raise RequestError(Failure(kind="not_found", message=message, param="model"))


def _card(model: ListedModel, provider: Provider) -> ModelCard:
    """A model with the limits of its provider's list, or else of the configuration and bm's tables."""
    unprefixed = model.provider in ("gemini", "anthropic")
    known = provider.capabilities(provider.protocol, model.id, model.facts)
    return ModelCard(
        id=model.id if unprefixed else f"{model.provider}:{model.id}",
        owner=model.provider,
        title=model.title,
        context=model.context or known.context,
        max_output=model.max_output or known.max_output,
        created=model.created,
    )
