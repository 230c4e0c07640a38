"""From the name a client asks for to the name a target knows: prefix, alias, the target's own mapping.

`name_of` does what is the same for every target, `model_for` what each target does for itself; a failover to another
provider maps anew. Both say their steps in words, which `bm route` prints.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

import msgspec

from bm.providers.families import family_of
from bm.providers.provider import Provider

FAMILIES = ("opus", "sonnet", "haiku")

DISGUISE = "claude-"
"""Before the names of other vendors' models in the list for Claude Code."""

_SUFFIX = re.compile(r"\[[0-9a-z]+\]$", re.IGNORECASE)


class Name(msgspec.Struct, frozen=True):
    """What a client asked for: the provider it insists on ("" = none), the model, and how that was found.

    `error` is not empty when the aliases lead nowhere; the rest then means nothing.
    """

    provider: str
    model: str
    steps: tuple[str, ...] = ()
    error: str = ""


class Mapped(msgspec.Struct, frozen=True):
    """The name a target knows the model by, which rule gave it, and that rule in words."""

    model: str
    rule: Literal["exact", "family", "listed", "default", "as is"]
    reason: str


def split_prefix(model: str, providers: Collection[str]) -> tuple[str, str]:
    """`groq:llama` as ("groq", "llama"); a name without a known provider's prefix as ("", name).

    A colon may belong to the model (`llama:free`, `ft:gpt-4o:org`), so only names of providers count.
    """
    head, colon, rest = model.partition(":")
    provider = head.strip().lower()
    return (provider, rest.strip()) if colon and rest.strip() and provider in providers else ("", model)


def nearest_prefix(model: str, providers: Collection[str]) -> str:
    """The name with the provider's prefix that was probably meant; empty if its prefix is not nearly a provider's.

    Parts of models' names (`llama3:8b`, `llama:free`) are none.
    """
    head, colon, rest = model.partition(":")
    word = head.strip().lower()
    if not colon or not rest.strip() or not word.isalpha():
        return ""
    others = [name for name in providers if name not in word and word not in name]
    found = get_close_matches(word, others, n=1, cutoff=0.7)
    return f"{found[0]}:{rest.strip()}" if found else ""


def misspelt_aliases(aliases: Mapping[str, str], providers: Collection[str]) -> dict[str, str]:
    """The aliases whose target has nearly a provider's prefix, and what was probably meant."""
    found = {name: nearest_prefix(meant, providers) for name, meant in aliases.items()}
    return {name: near for name, near in found.items() if near and aliases[name] not in aliases}


def bare(model: str) -> str:
    """The name without what only the client knows of: Gemini's `models/`, Claude Code's suffix `[1m]`."""
    return _SUFFIX.sub("", model.strip().removeprefix("models/"))


def disguised(name: str) -> str:
    """A name that Claude Code lists: its discovery passes over all that begin with neither `claude` nor `anthropic`."""
    return name if name.lower().startswith(("claude", "anthropic")) else DISGUISE + name


def undisguised(name: str, providers: Collection[str], aliases: Mapping[str, str]) -> str:
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


def name_of(asked: str, providers: Collection[str], aliases: Mapping[str, str]) -> Name:
    """Resolve the prefix, then the aliases. An alias may carry a prefix and lead to another alias."""
    plain = undisguised(asked, providers, aliases)
    provider, model = split_prefix(plain, providers)
    steps = [f"Claude Code says {asked} for {plain}"] if plain != asked else []
    steps += [f"the prefix asks for {provider}"] if provider else []
    seen: list[str] = []
    while (alias := _alias(model, aliases)) is not None:
        if alias in seen:
            circle = " → ".join([*seen[seen.index(alias) :], alias])
            return Name("", asked, (), f"the aliases go in a circle: {circle}")
        seen.append(alias)
        target, rest = split_prefix(aliases[alias], providers)
        if provider and target and target != provider:
            steps.append(f"the alias {alias} belongs to {target} and is not used for {provider}")
            break
        steps.append(f"the alias {alias} stands for {aliases[alias]}")
        provider, model = provider or target, rest
        if rest == alias:  # `gpt-4o = "openai:gpt-4o"` only says where the model is
            break
    return Name(provider, model, tuple(steps))


def _alias(model: str, aliases: Mapping[str, str]) -> str | None:
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
        return Mapped(mapped, "family", f"{kind} at {provider.name} is {mapped}")
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
