"""From the name a client asks for to the name a target knows: prefix, alias, the target's own mapping.

`names_of` does what is the same for every target, `model_for` what each target does for itself; a failover to another
provider maps anew. Both say their steps in words, which `bm route` prints.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

import msgspec

from bm.config.chains import described, names_in, split_prefix
from bm.config.schema import Chain, Choice
from bm.names import FAMILIES
from bm.providers.families import family_of
from bm.providers.provider import Provider

DISGUISE = "claude-"
"""Before the names of other vendors' models in the list for Claude Code."""

_BELOW_ONE = 1 - 2**-53

_SUFFIX = re.compile(r"\[[0-9a-z]+\]$", re.IGNORECASE)


class Name(msgspec.Struct, frozen=True):
    """A name to try: the provider it insists on ("" = none), the model, and how that was found.

    `choice` is the same for names among which one is chosen; it begins with `weighted` or `cheapest`.
    """

    provider: str
    model: str
    steps: tuple[str, ...] = ()
    choice: str = ""


class Mapped(msgspec.Struct, frozen=True):
    """The name a target knows the model by, which rule gave it, and that rule in words."""

    model: str
    rule: Literal["exact", "family", "listed", "default", "as is"]
    reason: str


def bare(model: str) -> str:
    """The name without what only the client knows of: Gemini's `models/`, Claude Code's suffix `[1m]`."""
    return _SUFFIX.sub("", model.strip().removeprefix("models/"))


def disguised(name: str) -> str:
    """A name that Claude Code lists: its discovery passes over all that begin with neither `claude` nor `anthropic`."""
    return name if name.lower().startswith(("claude", "anthropic")) else DISGUISE + name


def undisguised(name: str, providers: Collection[str], aliases: Collection[str]) -> str:
    """What `disguised` made its name from. No model of Claude's continues like one of Google's or with a prefix."""
    rest = name.removeprefix(DISGUISE)
    if rest == name or name in aliases:
        return name
    hidden = split_prefix(rest, providers)[0] or bare(rest) in aliases or rest.startswith(("gemini-", "gemma-"))
    return rest if hidden else name


@lru_cache(maxsize=1024)
def family(model: str) -> str:
    """`opus`, `sonnet` or `haiku` for a Claude model's name or for the word itself; "" for any other name."""
    words = re.split(r"[^a-z]+", bare(model).lower())
    claude = "claude" in words
    return next((word for word in FAMILIES if word in words and (claude or words[0] == word)), "")


def is_small(model: str) -> bool:
    """Whether a name is one of the small models that tools ask for in the background.

    Claude Code's is a haiku, Gemini CLI classifies with a flash-lite, opencode names sessions with the smallest model
    of a provider: a haiku, a nano (claude-code-router: any name with claude and haiku; opencode 1.18, `small_model`).
    """
    name = bare(model).lower()
    return family(name) == "haiku" or "flash-lite" in name or "nano" in re.split(r"[^a-z]+", name)


def is_explicit(asked: str, providers: Collection[str], aliases: Mapping[str, Chain]) -> bool:
    """Whether a name begins with the prefix of a provider."""
    return bool(split_prefix(undisguised(asked, providers, aliases), providers)[0])


def names_of(asked: str, providers: Collection[str], aliases: Mapping[str, Chain], draw: float = 0.0) -> list[Name]:
    """The names to try in order: what is left after the prefix and the aliases.

    An alias may carry a prefix and lead to other aliases. `draw` in [0, 1) decides where a choice is made by weight.
    """
    plain = undisguised(asked, providers, aliases)
    provider, model = split_prefix(plain, providers)
    steps = [f"Claude Code says {asked} for {plain}"] if plain != asked else []
    steps += [f"the prefix asks for {provider}"] if provider else []
    found = [*_Expansion(providers, aliases, draw).names(Name(provider, model, tuple(steps)))]
    if not found:
        alias = alias_of(model, aliases) or ""
        owners = ", ".join(dict.fromkeys(split_prefix(each, providers)[0] for each in names_in(aliases[alias])))
        steps.append(f"the alias {alias} belongs to {owners or 'others'} and is not used for {provider}")
    return found or [Name(provider, model, tuple(steps))]


def names_in_chain(
    chain: Chain, providers: Collection[str], aliases: Mapping[str, Chain], step: str, draw: float = 0.0
) -> list[Name]:
    """The names to try in order for a chain, which `step` tells the origin of."""
    return [*_Expansion(providers, aliases, draw).chain(chain, Name("", "", (step,)), ())]


class _Expansion:
    """Replaces aliases by what they stand for, each once: a second time it would add nothing."""

    def __init__(self, providers: Collection[str], aliases: Mapping[str, Chain], draw: float) -> None:
        self.providers, self.aliases, self.draw = providers, aliases, draw
        self.seen: set[str] = set()

    def names(self, name: Name, path: tuple[str, ...] = ()) -> Iterator[Name]:
        """What `name` stands for, reached through the aliases of `path`."""
        alias = alias_of(name.model, self.aliases)
        if alias is None or alias in path:  # `gpt-4o = "openai:gpt-4o"` only says where the model is
            yield name
        elif alias not in self.seen:
            self.seen.add(alias)
            chain = self.aliases[alias]
            step = f"the alias {alias} stands for {described(chain)}"
            reached = msgspec.structs.replace(name, steps=(*name.steps, step))
            yield from self.chain(chain, reached, (*path, alias))

    def chain(self, chain: Chain, name: Name, path: tuple[str, ...]) -> Iterator[Name]:
        """The names of a chain, as far as they belong to the provider that `name` insists on."""
        choice = ""
        if isinstance(chain, Choice):
            choice = f"{'weighted' if chain.weighted else 'cheapest'}: {', '.join(names_in(chain))}"
        links = self._weighted(chain.weighted) if isinstance(chain, Choice) and chain.weighted else names_in(chain)
        for link in links:
            target, model = split_prefix(link, self.providers)
            if not (name.provider and target and target != name.provider):
                reached = msgspec.structs.replace(name, provider=name.provider or target, model=model)
                yield from self.names(msgspec.structs.replace(reached, choice=choice or name.choice), path)

    def _weighted(self, weights: Mapping[str, int]) -> Iterator[str]:
        """The names in a random order by their weights: each is first for its share of all requests."""
        left = dict(weights)
        while left:
            at = self.draw * sum(left.values())
            name, *others = left
            while others and at >= left[name]:
                at -= left[name]
                name = others.pop(0)
            self.draw = min(at / left.pop(name), _BELOW_ONE)  # again evenly distributed in [0, 1)
            yield name


def alias_of(model: str, aliases: Mapping[str, Chain]) -> str | None:
    """The alias that a name is, with or without what only the client knows of; None if it is none."""
    return next((name for name in (model, bare(model)) if name in aliases and aliases[name] != model), None)


def model_for(provider: Provider, model: str, known: Collection[str] | None = None) -> Mapped:
    """Map a model to the name `provider` knows it by.

    `known` is the list of models it (or the account) is known to hold, None while unknown.
    """
    name = bare(model)
    for exact in (model, name):
        if exact in provider.models and exact not in (*FAMILIES, "default"):
            return Mapped(provider.models[exact], "exact", f"{provider.name} maps {exact} to {provider.models[exact]}")
    kind = family(name)
    if kind and (mapped := provider.models.get(kind)) and not _of_one_vendor(name, mapped):
        return Mapped(mapped, "family", f"{provider.name} maps the family {kind} to {mapped}")
    if mapped := provider.words.get(name.lower(), ""):
        return Mapped(mapped, "family", f"{kind or name} at {provider.name} is {mapped}")
    if not holds(provider, name, known):
        if known is not None and not provider.serves and (listed := _listed(name, frozenset(known))):
            return Mapped(listed, "listed", f"{provider.name} lists {name} as {listed}")
        if default := provider.models.get("default", ""):
            return Mapped(default, "default", f"{provider.name} has no {name}: its default is {default}")
    return Mapped(name, "as is", f"{name} goes to {provider.name} as it is")


def _of_one_vendor(name: str, mapped: str) -> bool:
    """Whether a service that names models after their vendors was asked for one in its own words: that one is meant."""
    vendor, slash, _ = name.partition("/")
    return bool(slash) and mapped.startswith(f"{vendor}/")


@lru_cache(maxsize=1024)
def _listed(model: str, known: frozenset[str]) -> str:
    """The one model in a list that has this name after its vendor's, as with `openai/gpt-5`; "" if there is none."""
    wanted = model.lower().replace(".", "-")
    found = [each for each in known if "/" in each and each.lower().rpartition("/")[2].replace(".", "-") == wanted]
    return found[0] if len(found) == 1 else ""


def replaces(asked: str, provider: str, model: str) -> bool:
    """Whether `model` of `provider` is of another family than the model that a client asked for."""
    prefix = f"{provider}:"
    name = bare(asked[len(prefix) :] if asked.lower().startswith(prefix) else asked)
    if name == model:
        return False
    meant = family_of(name)
    return meant is None or meant is not family_of(model)


def holds(provider: Provider, model: str, known: Collection[str] | None) -> bool:
    """Whether the provider has the model, as far as is known: by its list, else by how its vendor names models."""
    if known is not None:
        return model in known or f"models/{model}" in known
    return not provider.serves or any(fnmatchcase(model.lower(), each) for each in provider.serves)
