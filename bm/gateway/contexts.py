"""How many tokens models take: what their lists say, and what refusals have told, which lists are wrong about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

MAX_TOLD = 500
"""Refusals that are remembered: clients may make up names of models."""

KEEP = 7 * 86_400.0
"""Seconds for which a refusal is believed: nothing longer is sent meanwhile, so nobody would notice a larger limit."""


class Told(msgspec.Struct, frozen=True):
    """A refusal's word, given at the Unix time `at`. `source` tells the service from another under the same name."""

    provider: str
    source: str
    model: str
    tokens: int
    at: float


class Contexts:
    """The limits of each provider's models in tokens. A refusal's word goes before a list's."""

    def __init__(self) -> None:
        self._listed: dict[str, dict[str, int]] = {}
        self._told: OrderedDict[tuple[str, str], Told] = OrderedDict()
        self._known: dict[str, Mapping[str, int]] = {}

    def of(self, provider: str) -> Mapping[str, int]:
        """What is known of a provider's models."""
        if (known := self._known.get(provider)) is None:
            told = {each.model: each.tokens for each in self._told.values() if each.provider == provider}
            known = self._known[provider] = {**self._listed.get(provider, {}), **told}
        return known

    def read(self, provider: str, listed: Mapping[str, int]) -> None:
        """A provider's list says what its models take; 0 where it says nothing."""
        self._listed[provider] = {model: tokens for model, tokens in listed.items() if tokens}
        self._known.pop(provider, None)

    def learn(self, told: Told) -> None:
        """A refusal has told how many tokens a model takes."""
        key = told.provider, told.model
        self._told.pop(key, None)
        self._told[key] = told
        while len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        self._known.clear()

    def expire(self, wall: float) -> None:
        """Let go of what was told too long before the Unix time `wall`."""
        for key in [key for key, each in self._told.items() if each.at < wall - KEEP]:
            del self._told[key]
        self._known.clear()

    def forget(self, provider: str) -> None:
        """The provider is another service now."""
        self._listed.pop(provider, None)
        self._told = OrderedDict((key, each) for key, each in self._told.items() if each.provider != provider)
        self._known.pop(provider, None)

    def saved(self) -> tuple[Told, ...]:
        """What is worth keeping, the latest at the end: lists are read again."""
        return tuple(self._told.values())

    def adopt(self, saved: tuple[Told, ...], sources: Mapping[str, str]) -> None:
        """Take over what an earlier run was told, of providers that are still the same services."""
        for told in saved:
            if sources.get(told.provider) == told.source:
                self.learn(told)
