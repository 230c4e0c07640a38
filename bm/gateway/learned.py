"""Facts about models that no table knows, learned from their answers and refusals."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from bm.dispatch.target import Target
from bm.names import ProtocolName
from bm.providers.provider import Provider
from bm.remedies.remedy import Remedy

MAX_MODELS = 500
"""Models of which a fact is kept. Clients may make up model names."""

MIN_FACTOR, MAX_FACTOR = 0.5, 2.0
"""How far a tokenizer can be off. Anything beyond has another cause, such as a prompt that the service adds."""
MIN_PROMPT = 200
"""Prompts of fewer tokens say more about a service's template than about its tokenizer."""
_WEIGHT = 0.2

KEEP_LIMIT = 7 * 86_400.0
"""Seconds for which a learned limit is believed. No longer prompt is sent meanwhile, so a raised limit stays unseen."""

KEEP_REMEDY = 30 * 86_400.0
"""Seconds for which a remedy is applied at once."""

MAX_REMEDIES = 40
"""Remedies that are kept of a model over a protocol, the latest ones."""

Model = tuple[str, str]
"""A provider's name and its name for the model."""

TAKES = "takes"
"""The operation of a fact that a model was asked for: `path` is a member of `Capabilities`."""
LACKS = "lacks"
"""The operation of what is learnt of kinds of media: the model takes none of them."""

Subject = tuple[str, str, ProtocolName]
"""A provider's name, its name for the model, and the protocol."""


class TokenCalibration:
    """How far the local token estimate is off for a model, as a factor for each of the models used last.

    `tell` informs other nodes.
    """

    def __init__(self) -> None:
        self.tell: Callable[[str, float], None] | None = None
        self._factors: OrderedDict[str, float] = OrderedDict()

    def learn(self, model: Model, estimated: int, counted: int) -> None:
        """Compare an estimated prompt size with the `counted` tokens that the answer's usage gives."""
        if counted < MIN_PROMPT or estimated < 1:
            return
        key = ":".join(model)
        seen = min(max(counted / estimated, MIN_FACTOR), MAX_FACTOR)
        known = self._factors.get(key)
        self._put(key, seen if known is None else known + _WEIGHT * (seen - known))
        if self.tell is not None:
            self.tell(key, self._factors[key])

    def _put(self, key: str, factor: float) -> None:
        self._factors.pop(key, None)
        self._factors[key] = factor
        while len(self._factors) > MAX_MODELS:
            self._factors.popitem(last=False)

    def correct(self, model: Model, estimated: int) -> int:
        """The estimate times the model's factor, at least 1."""
        return max(1, round(estimated * self._factors.get(":".join(model), 1.0)))

    def saved(self) -> dict[str, float]:
        """The factors to write to disk, the model used last at the end."""
        return dict(self._factors)

    def restore(self, saved: Mapping[str, float]) -> None:
        """Take over what an earlier run has learned."""
        for key, factor in saved.items():
            self._put(key, min(max(factor, MIN_FACTOR), MAX_FACTOR))


class ContextLimit(msgspec.Struct, frozen=True):
    """A limit in tokens that a refusal named at the Unix time `at`. `source` is the service's `fingerprint`."""

    provider: str
    source: str
    model: str
    tokens: int
    at: float


class ContextLimits:
    """How many tokens each provider's models take. A limit named by a refusal overrides the one of a model list.

    `version` grows with each change. `tell` informs other nodes of what is learnt here.
    """

    def __init__(self) -> None:
        self.version = 0
        self.tell: Callable[[ContextLimit], None] | None = None
        self._listed: dict[str, dict[str, int]] = {}
        self._refused: OrderedDict[Model, ContextLimit] = OrderedDict()
        self._merged: dict[str, Mapping[str, int]] = {}

    def of(self, provider: str) -> Mapping[str, int]:
        """The known limits of a provider's models."""
        if (merged := self._merged.get(provider)) is None:
            refused = {each.model: each.tokens for each in self._refused.values() if each.provider == provider}
            merged = self._merged[provider] = {**self._listed.get(provider, {}), **refused}
        return merged

    def set_listed(self, provider: str, listed: Mapping[str, int]) -> None:
        """Take the limits of a provider's model list; 0 stands for none."""
        self._listed[provider] = {model: tokens for model, tokens in listed.items() if tokens}
        self._changed()

    def learn(self, provider: Provider, model: str, tokens: int, *, wall: float) -> None:
        """A refusal at the Unix time `wall` has named the model's limit."""
        limit = ContextLimit(provider.name, fingerprint(provider), model, tokens, wall)
        self._put(limit)
        if self.tell is not None:
            self.tell(limit)

    def _put(self, limit: ContextLimit) -> None:
        key = limit.provider, limit.model
        self._refused.pop(key, None)
        self._refused[key] = limit
        while len(self._refused) > MAX_MODELS:
            self._refused.popitem(last=False)
        self._changed()

    def expire(self, wall: float) -> None:
        """Drop what was learned too long before the Unix time `wall`."""
        for key in [key for key, each in self._refused.items() if each.at < wall - KEEP_LIMIT]:
            del self._refused[key]
        self._changed()

    def forget(self, provider: str) -> None:
        """Drop the limits of a provider that is another service now."""
        self._listed.pop(provider, None)
        self._refused = OrderedDict((key, each) for key, each in self._refused.items() if each.provider != provider)
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._merged.clear()

    def saved(self) -> tuple[ContextLimit, ...]:
        """The learned limits to write to disk, the latest at the end. Model lists are read again."""
        return tuple(self._refused.values())

    def restore(self, saved: Iterable[ContextLimit], providers: Iterable[Provider], *, wall: float) -> None:
        """Take over what an earlier run has learned of providers that are still the same services."""
        sources = {provider.name: fingerprint(provider) for provider in providers}
        for limit in saved:
            if sources.get(limit.provider) == limit.source:
                self._put(limit)
        self.expire(wall)


class LearnedRemedy(msgspec.Struct, frozen=True):
    """A remedy that a model needed at the Unix time `at`. `source` is the service's `fingerprint`."""

    provider: str
    source: str
    model: str
    protocol: ProtocolName
    remedy: Remedy
    at: float


class LearnedRemedies:
    """What requests to a model are changed by, because it has refused them as they were.

    `version` grows when what dispatch decides by may have changed. `tell` informs other nodes of what is
    learnt here, `tell_forgotten` of a model of which everything is forgotten.
    """

    def __init__(self) -> None:
        self.version = 0
        self.tell: Callable[[LearnedRemedy], None] | None = None
        self.tell_forgotten: Callable[[str], None] | None = None
        self._known: OrderedDict[Subject, dict[tuple[object, ...], LearnedRemedy]] = OrderedDict()
        self._facts: dict[str, dict[str, dict[str, Any]]] | None = None

    def __len__(self) -> int:
        return len(self._known)

    def of(self, subject: Subject) -> tuple[Remedy, ...]:
        """The remedies for a model over a protocol, the first one learnt first."""
        known = self._known.get(subject)
        return tuple(each.remedy for each in known.values()) if known else ()

    def facts(self, provider: str) -> dict[str, dict[str, Any]]:
        """What is learnt of a provider's models that dispatch decides by, as members of `Capabilities`."""
        if self._facts is None:
            self._facts = {}
            for each in self.saved():
                if each.remedy.operation not in (LACKS, TAKES):
                    continue
                member, values = each.remedy.path, each.remedy.values
                known = self._facts.setdefault(each.provider, {}).setdefault(each.model, {})
                if each.remedy.operation == LACKS:
                    known |= dict.fromkeys(values, False)
                else:
                    known[member] = values if member == "levels" else values[0]
        return self._facts.get(provider, {})

    def about(self, model: str) -> list[LearnedRemedy]:
        """Everything learnt of a model, which may be named with its provider."""
        return [each for each in self.saved() if model in (each.model, f"{each.provider}:{each.model}")]

    def learn(self, provider: Provider, target: Target, remedy: Remedy, *, wall: float) -> None:
        """A request was answered after the remedy. The length of a prompt holds for one request alone."""
        if remedy.operation == "make_room":
            remedy = msgspec.structs.replace(remedy, values=(remedy.values[0], 0))
        found = LearnedRemedy(provider.name, fingerprint(provider), target.model, target.protocol, remedy, wall)
        self._put(found)
        if self.tell is not None:
            self.tell(found)

    def _put(self, found: LearnedRemedy) -> None:
        self._changed()
        subject = found.provider, found.model, found.protocol
        known = self._known.pop(subject, {})
        known.pop(found.remedy.key, None)
        known[found.remedy.key] = found
        while len(known) > MAX_REMEDIES:
            del known[next(iter(known))]
        self._known[subject] = known
        while len(self._known) > MAX_MODELS:
            self._known.popitem(last=False)

    def forget_model(self, model: str) -> int:
        """Drop everything learnt of a model, on all nodes; returns how many remedies that were."""
        if self.tell_forgotten is not None:
            self.tell_forgotten(model)
        return self.drop_model(model)

    def drop_model(self, model: str) -> int:
        """Drop everything learnt of a model on this node; returns how many remedies that were."""
        gone = self.about(model)
        self._changed()
        for each in gone:
            self._known.pop((each.provider, each.model, each.protocol), None)
        return len(gone)

    def forget(self, provider: str) -> None:
        """Drop what was learnt of a provider that is another service now."""
        self._changed()
        for subject in [subject for subject in self._known if subject[0] == provider]:
            del self._known[subject]

    def expire(self, wall: float) -> None:
        """Drop what was learnt too long before the Unix time `wall`: vendors change their rules."""
        self._changed()
        for subject, known in list(self._known.items()):
            kept = {key: each for key, each in known.items() if each.at >= wall - KEEP_REMEDY}
            self._known[subject] = kept
            if not kept:
                del self._known[subject]

    def _changed(self) -> None:
        self.version += 1
        self._facts = None

    def saved(self) -> tuple[LearnedRemedy, ...]:
        """The remedies to write to disk."""
        return tuple(each for known in self._known.values() for each in known.values())

    def restore(self, saved: Iterable[LearnedRemedy], providers: Iterable[Provider], *, wall: float) -> None:
        """Take over what an earlier run has learned of providers that are still the same services."""
        sources = {provider.name: fingerprint(provider) for provider in providers}
        for each in saved:
            if sources.get(each.provider) == each.source:
                self._put(each)
        self.expire(wall)


def fingerprint(provider: Provider) -> str:
    """A digest of what identifies the service behind a provider's name. Its headers may hold a key."""
    source = (
        provider.speaks,
        provider.base_url,
        provider.auth,
        provider.headers,
        provider.models_path,
        provider.vertex_base_url,
    )
    return hashlib.sha256(msgspec.json.encode(source)).hexdigest()[:16]
