"""Which names a request is sent to, in order: its own, or those of the route that applies to what it is.

`resolve` depends on nothing but its arguments: the request, the aliases, the routes and the names of the providers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from bm.config.chains import described, names_in, nearest_prefix, with_colon
from bm.config.schema import Chain, Routes, RouteTable
from bm.dispatch.snapshot import RouteQuery, Snapshot
from bm.names import ROUTE_KINDS, RouteKind
from bm.providers.resolve import Name, alias_of, is_explicit, is_small, names_in_chain, names_of, undisguised

LONG_CONTEXT = 60_000
"""Tokens from which a prompt is long, unless `long_context_tokens` says otherwise (claude-code-router's default)."""

HOOK: Final = "routes.hook"

_NEEDS: frozenset[RouteKind] = frozenset({"long_context", "image", "web_search"})
"""What not every model can do. Where several of them apply, all of their chains are tried."""


class Resolved(msgspec.Struct, frozen=True):
    """The names to try in order. `route` is the key of the setting that gave them, empty if it is the client's own."""

    names: tuple[Name, ...]
    route: str = ""


def resolve(
    query: RouteQuery, providers: Collection[str], aliases: Mapping[str, Chain], routes: Routes | None
) -> Resolved:
    """The names that a request is sent to.

    A name with a prefix is never rerouted, and one of the user's aliases only by the hook.
    """
    if routes is not None and not is_explicit(query.model, providers, aliases):
        if query.hooked:
            step = f"the hook of [routes] chose {query.hooked}"
            if chosen := names_in_chain(query.hooked, providers, aliases, step, query.draw):
                return Resolved(tuple(chosen), HOOK)
        if alias_of(undisguised(query.model, providers, aliases), aliases) is None:
            keys, names = [], []
            for key, chain, reason in _applying(query, routes):
                step = f"{key} applies, as {reason}: {described(chain)}"
                keys.append(key)
                names += names_in_chain(chain, providers, aliases, step, query.draw)
            if names:
                return Resolved(tuple(names), ", ".join(keys))
    return Resolved(tuple(names_of(query.model, providers, aliases, query.draw)))


def _applying(query: RouteQuery, routes: Routes) -> Iterator[tuple[str, Chain, str]]:
    """The routes of the first kind that applies, of all if it is a need, each with its key and the reason."""
    tables = _tables(query, routes)
    found = False
    for kind in ROUTE_KINDS:
        if found and kind not in _NEEDS:
            return
        at, chain = _route(kind, tables)
        if names_in(chain) and (reason := _reason(kind, query, tables)):
            found = True
            yield f"{at}.{kind}", chain, reason


def _route(kind: RouteKind, tables: Sequence[tuple[str, RouteTable]]) -> tuple[str, Chain]:
    """The chain that the narrowest table sets for a kind, and that table."""
    for at, table in tables:
        chain: Chain | None = getattr(table, kind)
        if chain is not None:
            return at, chain
    return "", ""


def _tables(query: RouteQuery, routes: Routes) -> Sequence[tuple[str, RouteTable]]:
    """The tables that hold for a request, the narrowest first."""
    narrow = [(f"routes.{name}", routes.table(name)) for name in (query.tool, query.protocol) if name]
    return [*narrow, ("routes", routes)]


def _reason(kind: RouteKind, query: RouteQuery, tables: Sequence[tuple[str, RouteTable]]) -> str:
    """Why a request is of a kind; empty if it is not."""
    traits = query.traits
    match kind:
        case "long_context":
            limit = next((table.long_context_tokens for _, table in tables if table.long_context_tokens), LONG_CONTEXT)
            return f"the prompt has about {traits.tokens} tokens" if traits.tokens > limit else ""
        case "image":
            return "the request contains images" if traits.images else ""
        case "web_search":
            return "the service is to search the web" if traits.web_search else ""
        case "background":
            return f"{query.model} is a small model" if is_small(query.model) else ""
        case "think":
            return "the request asks for thinking" if traits.thinking else ""
        case "default":
            return "no other route does"


def misspelt(resolved: Resolved, query: RouteQuery, snapshot: Snapshot) -> str:
    """Why a name is refused that was probably meant to have a provider's prefix; empty if a model may be called so."""
    model = _own_name(resolved, query)
    if near := with_colon(model, snapshot.names):
        return f"{model} has no provider's prefix: did you mean {near}? (bm models)"
    near = nearest_prefix(model, snapshot.names)
    if not near:
        return ""
    for member in snapshot.members:
        known = [*member.provider.models, *member.facts, *(each for s in member.accounts for each in s.models or ())]
        if model in known:
            return ""
    return f"no provider is named {model.partition(':')[0]}: did you mean {near}? (bm providers)"


def _own_name(resolved: Resolved, query: RouteQuery) -> str:
    """The name that the client has given, also where a route applies; empty if it has a prefix or a hook has spoken."""
    if resolved.route:
        return "" if resolved.route == HOOK else query.model
    return "" if resolved.names[0].provider else resolved.names[0].model
