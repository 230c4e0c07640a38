"""Which models can be had through bm, from the lists of its providers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from bm.accounts.account import AccountId
from bm.accounts.google import TokenError
from bm.chat.parts import Json
from bm.errors import Failure, RequestError
from bm.names import ProtocolName
from bm.protocols.model_list import ModelCard, entry, listing
from bm.providers.provider import Provider
from bm.providers.resolve import disguised
from bm.upstream.client import UpstreamError
from bm.upstream.discovery import ListedModel, Refused, list_models

if TYPE_CHECKING:
    from bm.gateway.engine import Engine

FRESH = 600.0
"""Seconds a provider's list is taken for true."""
PATIENCE = 10.0
"""Seconds a caller waits for the lists of all providers; what is late is in the next answer."""

_log = logging.getLogger("bm.models")


class Models:
    """The lists of all providers in use, each asked for when somebody wants it and it is no longer fresh."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lists: dict[str, tuple[ListedModel, ...]] = {}
        self._read_at: dict[str, float] = {}
        self._contexts: dict[str, dict[str, int]] = {}
        self._outputs: dict[tuple[str, str], int] = {}
        self._lock = asyncio.Lock()

    async def all(self) -> tuple[ListedModel, ...]:
        """Every model of every provider in use, in the order of dispatch."""
        in_use = [provider for provider in self._engine.settings.providers.values() if _in_use(provider)]
        async with self._lock:
            stale = [p for p in in_use if time.monotonic() - self._read_at.get(p.name, -FRESH) >= FRESH]
            if stale:
                await asyncio.wait([asyncio.ensure_future(self._refresh(p)) for p in stale], timeout=PATIENCE)
        return tuple(model for provider in in_use for model in self._lists.get(provider.name, ()))

    async def _refresh(self, provider: Provider) -> None:
        """Ask with the first account that works. Vertex AI's list tells least, so its accounts come last."""
        engine = self._engine
        accounts = engine.pool.facts(time.monotonic()).get(provider.name, ())
        seats = [(provider.name, account.name) for account in accounts if not account.disabled]
        for seat in sorted(seats, key=self._is_vertex):
            timeouts, proxy = engine.config.timeouts_for(provider.name), engine.config.proxy_for(provider.name)
            try:
                access = await engine.access(seat)
                found = await list_models(engine.client, provider, access, timeouts, proxy)
            except TokenError as error:
                _log.warning("%s does not list its models for %s: %s", *seat, error)
                continue
            except UpstreamError as error:
                _log.warning("%s does not list its models: %s", provider.name, error.failure.message)
                continue
            except Refused as error:
                _log.warning("%s does not list its models for %s: status %d", *seat, error.status)
                continue
            self._lists[provider.name] = found
            known = self._contexts.setdefault(provider.name, {})
            for model in found:
                if model.context:
                    known.setdefault(model.id, model.context)
                self._outputs[provider.name, model.id] = model.max_output
            self._read_at[provider.name] = time.monotonic()
            engine.pool.learn_models(seat, frozenset(model.id for model in found))
            return

    def _is_vertex(self, seat: AccountId) -> bool:
        credential = self._engine.pool.credential(seat)
        return credential is not None and bool(credential.account.location)

    def longest_answer(self, provider: str, model: str) -> int:
        """The most tokens that a model answers, as its provider's list has it; 0 when it says nothing."""
        return self._outputs.get((provider, model), 0)

    def learn_context(self, provider: str, model: str, tokens: int) -> None:
        """A refusal has told how many tokens the model takes."""
        self._contexts.setdefault(provider, {})[model] = tokens

    def contexts(self, provider: str) -> Mapping[str, int]:
        """The limits of a provider's models that its list or a refusal has told, in tokens."""
        return self._contexts.get(provider, {})

    def forget(self) -> None:
        """The providers or their accounts have changed."""
        self._read_at.clear()

    async def cards(self) -> list[ModelCard]:
        """What clients can ask for: Gemini's names as they are, others with the prefix that leads to them, aliases."""
        providers = self._engine.settings.providers
        cards = [_card(model, providers[model.provider]) for model in await self.all() if model.generates]
        aliases = self._engine.config.aliases
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
