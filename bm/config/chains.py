"""Names of models and chains of them, as `[aliases]` and `[routes]` write them: what they name, and what is wrong.

A name may begin with a provider's prefix (`groq:llama`). A name in a chain may be another alias.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from bm.config.budget import ROUTE
from bm.config.keys import Key
from bm.config.schema import Chain, Choice, Config, RouteTable
from bm.config.validation import Problem, nearest
from bm.names import FAMILIES, PROTOCOLS, ROUTE_KINDS, TOOLS

MAX_DEPTH = 20
"""Aliases that may lead to one another."""


def names_in(chain: Chain) -> tuple[str, ...]:
    """The names of a chain, in its order."""
    match chain:
        case Choice():
            return (*chain.weighted, *chain.cheapest)
        case str():
            return (chain,) if chain else ()
        case _:
            return chain


def described(chain: Chain) -> str:
    """A chain in words: `gemini:pro, then anthropic:opus`."""
    match chain:
        case Choice(weighted=weighted) if weighted:
            parts = " or ".join(f"{name} ({weight})" for name, weight in weighted.items())
            return f"{parts}, at random by weight"
        case Choice(cheapest=cheapest):
            return f"the cheapest of {', '.join(cheapest)}"
        case _:
            return ", then ".join(names_in(chain)) or "no model"


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


def with_colon(model: str, providers: Collection[str]) -> str:
    """claude-code-router's `groq,llama` as `groq:llama`; empty for any other name."""
    head, comma, rest = model.partition(",")
    provider = head.strip().lower()
    return f"{provider}:{rest.strip()}" if comma and rest.strip() and provider in providers else ""


def chains_of(config: Config) -> Iterator[tuple[Key, Chain]]:
    """Every alias and every route, with its key."""
    for name, chain in config.aliases.items():
        yield ("aliases", name), chain
    tables: dict[Key, RouteTable] = {("routes",): config.routes}
    tables |= {("routes", name): config.routes.table(name) for name in (*PROTOCOLS, *TOOLS)}
    for key, table in tables.items():
        for kind in ROUTE_KINDS:
            if (route := getattr(table, kind)) is not None:
                yield (*key, kind), route


def broken_chains(config: Config, known: Collection[str]) -> Iterator[Problem]:
    """What is wrong with the aliases, the routes, and what serves when a budget is spent.

    `known` are the names of the providers in the catalog.
    """
    providers = {"gemini", *known, *config.providers}
    for key, chain in chains_of(config):
        if isinstance(chain, Choice) and bool(chain.weighted) == bool(chain.cheapest):
            message = "expected either names with weights or a list of names"
            yield Problem(key, message, "such as { weighted = { fast = 2, best = 1 } } or { cheapest = [...] }")
        elif (not names_in(chain) and key[0] == "aliases") or not all(map(str.strip, names_in(chain))):
            yield Problem(key, "names no model")
        for name in names_in(chain):
            yield from _name(key, name, config.aliases, providers)
    instead = config.budgets.on_exhausted
    if instead.startswith(ROUTE):
        yield from _name(("budgets", "on_exhausted"), instead.removeprefix(ROUTE), config.aliases, providers)
    yield from _loops(config.aliases, providers)
    file, _, function = config.routes.hook.rpartition(":")
    if config.routes.hook and not (file and function.isidentifier()):
        yield Problem(("routes", "hook"), "expected FILE:FUNCTION", 'such as "routes.py:choose"')


def _name(key: Key, name: str, aliases: Mapping[str, Chain], providers: Collection[str]) -> Iterator[Problem]:
    """A name that is nearly one of a provider or of an alias."""
    if name in aliases or split_prefix(name, providers)[0]:
        return
    if name.rstrip(":").lower() in providers:
        yield Problem(key, f'"{name}" is a provider and no model', f'such as "{name.rstrip(":").lower()}:MODEL"')
    elif near := with_colon(name, providers):
        yield Problem(key, f'"{name}" has no prefix', f'did you mean "{near}"?')
    elif near := nearest_prefix(name, providers):
        yield Problem(key, f'no provider is named "{name.partition(":")[0]}"', f'did you mean "{near}"?')
    elif name.isalpha() and name.lower() not in FAMILIES:
        others = [alias for alias in aliases if ("aliases", alias) != key]
        if hint := nearest(name, others, 0.75):
            yield Problem(key, f'no alias is named "{name}"', hint)


def _loops(aliases: Mapping[str, Chain], providers: Collection[str]) -> Iterator[Problem]:
    """Aliases that lead back to themselves, each loop once. An alias in its own chain is the model of that name."""
    clear: set[str] = set()
    for alias in aliases:
        path = _bad_path((alias,), aliases, providers, clear)
        clear.update(path)
        if len(path) > MAX_DEPTH:
            yield Problem(("aliases", alias), f"leads through more than {MAX_DEPTH} aliases")
        elif path:
            loop = " → ".join([*path, path[0]])
            yield Problem(("aliases", path[0]), f"the aliases go in a circle: {loop}", "let one of them name a model")


def _bad_path(
    path: tuple[str, ...], aliases: Mapping[str, Chain], providers: Collection[str], clear: set[str]
) -> tuple[str, ...]:
    """The first loop that `path` leads into, or the path if it gets too long; empty if all ends in models."""
    if len(path) > MAX_DEPTH:
        return path
    for name in names_in(aliases[path[-1]]):
        model = split_prefix(name, providers)[1]
        if model in path[:-1]:
            return path[path.index(model) :]
        ends = model not in aliases or model == path[-1] or model in clear
        if not ends and (found := _bad_path((*path, model), aliases, providers, clear)):
            return found
    clear.add(path[-1])
    return ()
