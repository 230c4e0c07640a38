"""Check parsed settings against the schema and against the rules that types cannot express.

The schema check works on msgspec's description of `bm.config.schema`, so those types are the only statement of what is
allowed, and all problems are reported at once with their keys.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import inspect

from bm.config.address import is_loopback, points_at
from bm.config.budget import REFUSE, ROUTE, limits_of
from bm.config.keys import Key, dotted
from bm.config.proxy import read_proxy
from bm.config.schema import Config, ProviderConfig, Server, Shared, UpstreamProxy
from bm.config.secrets import is_reference
from bm.config.shared import read_store


class Problem(msgspec.Struct, frozen=True):
    """A problem with the setting `key`, or with the part of the key that exists; `hint` says how to fix it."""

    key: Key
    message: str
    hint: str = ""


def nearest(word: str, words: list[str], cutoff: float = 0.6) -> str:
    """A hint with the most similar of `words`; empty when none is similar."""
    found = get_close_matches(word.lower(), words, n=1, cutoff=cutoff)
    return f'did you mean "{found[0]}"?' if found else ""


Kind: TypeAlias = inspect.Type

_LONG = 20

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def without_none(kind: Kind) -> Kind:
    """`kind` without None, which means *absent* since TOML has no null; a union of literals becomes one literal."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    kinds = tuple(each for each in kind.types if not isinstance(each, inspect.NoneType))
    words = [value for each in kinds if isinstance(each, inspect.LiteralType) for value in each.values]
    if words:
        return inspect.LiteralType(tuple(words))
    return kinds[0] if len(kinds) == 1 else inspect.UnionType(kinds)


def fits(value: object, kind: Kind) -> bool:
    """Whether a setting of this kind may hold `value`, as returned by tomllib."""
    match kind:
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType(ge=low, le=high):
            return isinstance(value, int) and not isinstance(value, bool) and _within(value, low, high)
        case inspect.FloatType(ge=low, le=high):
            return isinstance(value, int | float) and not isinstance(value, bool) and _within(value, low, high)
        case inspect.LiteralType(values=values):
            return isinstance(value, str) and value in values
        case inspect.VarTupleType(item_type=item):
            return isinstance(value, list) and all(fits(each, item) for each in value)
        case inspect.UnionType(types=kinds):
            return any(fits(value, each) for each in kinds if not is_table(each))
        case _:
            return isinstance(value, str)


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def wanted(kind: Kind) -> str:
    """What to write for this kind, to follow "expected"."""
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in choices(kind))
        case inspect.VarTupleType(item_type=inspect.LiteralType() as item):
            return wanted(item).replace("one of", "a list of", 1)
        case inspect.VarTupleType():
            return "a list of strings"
        case inspect.StructType() | inspect.DictType():
            return "a table"
        case inspect.UnionType(types=kinds):
            *others, last = map(wanted, kinds)
            return f"{', '.join(others)} or {last}"
        case _:
            return "a string"


def choices(kind: Kind) -> list[str]:
    """The words a setting of this kind may hold, in schema order; empty when it is not limited to certain words."""
    match kind:
        case inspect.LiteralType(values=values):
            return [str(value) for value in values if value]
        case inspect.VarTupleType(item_type=item):
            return choices(item)
        case _:
            return []


def described(value: object, *, shown: bool = True) -> str:
    """The value that was written, to follow "got". Without `shown` only its type, for values that may be secret.

    Long texts are not shown either: they may be a key in the wrong place.
    """
    match value:
        case bool():
            noun = "the value"
        case str():
            noun = "the string"
        case int() | float():
            noun = "the number"
        case list():
            noun = "the list"
        case dict():
            return "a table"
        case _:
            return "a date or time"
    written = msgspec.json.encode(value).decode() if not isinstance(value, float) else str(value)
    texts = [value, *value] if isinstance(value, list) else [value]
    if not shown or any(isinstance(each, str) and len(each) >= _LONG for each in texts):
        return noun.replace("the", "a")
    return f"{noun} {written}"


def read(text: str, kind: Kind) -> Any:
    """Parse `text`, from the environment or a command line, as a value of `kind`.

    Lists are comma-separated or TOML, tables are TOML. A text that cannot be parsed is returned unchanged, and `fits`
    refuses it.
    """
    kind = without_none(kind)
    match kind:
        case inspect.BoolType():
            return _WORDS.get(text.strip().lower(), text)
        case inspect.IntType() | inspect.FloatType():
            return _toml_value(text, (int, float))
        case inspect.VarTupleType() if not text.lstrip().startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        case inspect.VarTupleType():
            return _toml_value(text, (list,))
        case inspect.DictType() | inspect.StructType():
            return _toml_value(text, (dict,))
        case inspect.UnionType() if text.lstrip().startswith(("[", "{")):
            return _toml_value(text, (list, dict))
        case inspect.UnionType() if "," in text:
            return [part.strip() for part in text.split(",") if part.strip()]
        case _:
            return text


def _toml_value(text: str, types: tuple[type, ...]) -> Any:
    try:
        table = tomllib.loads(f"value = {text.strip()}")
    except (ValueError, RecursionError):
        return text
    value = table["value"] if len(table) == 1 else text
    return value if isinstance(value, types) and not isinstance(value, bool) else text


SCHEMA: Kind = inspect.type_info(Config)

_UNSHOWN = frozenset({"api_key", "url", "headers"})
"""Keys whose values may be secret: an error shows their type only."""

Table = dict[str, Any]


def checked(raw: Table) -> tuple[Table, list[Problem]]:
    """A copy of `raw` without the values the schema refuses, and a problem for each of these."""
    problems: list[Problem] = []
    return _table(raw, SCHEMA, (), problems), problems


def kind_of(key: Key) -> Kind | None:
    """The kind of the setting or table `key`; None when there is none of that name."""
    kind: Kind = SCHEMA
    for part in key:
        found = _member(kind, part)
        if found is None:
            return None
        kind = found
    return kind


def _member(kind: Kind, name: str) -> Kind | None:
    match kind:
        case inspect.StructType(fields=fields):
            return next((without_none(each.type) for each in fields if each.encode_name == name), None)
        case inspect.DictType(value_type=value):
            return value
        case inspect.UnionType():
            return _member(_as_table(kind), name)
        case _:
            return None


def _as_table(kind: Kind) -> Kind:
    """The one of several kinds that is a table."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else ()
    return next(filter(is_table, kinds), kind)


def is_table(kind: Kind) -> bool:
    """Whether this kind holds further settings."""
    return isinstance(kind, inspect.StructType | inspect.DictType)


def members(kind: Kind) -> list[str]:
    return [each.encode_name for each in kind.fields] if isinstance(kind, inspect.StructType) else []


def _table(raw: Table, kind: Kind, key: Key, problems: list[Problem]) -> Table:
    kept: Table = {}
    for name, value in raw.items():
        here = (*key, name)
        member = _member(kind, name)
        if member is None:
            problems.append(Problem(here, "unknown key", _instead(name, kind)))
        elif is_table(table := _as_table(member)) and isinstance(value, dict):
            kept[name] = _table(value, table, here, problems)
        elif not is_table(member) and fits(value, member):
            kept[name] = value
        else:
            problems.append(_misfit(here, value, member))
    return kept


def _misfit(key: Key, value: object, kind: Kind) -> Problem:
    got = described(value, shown=_UNSHOWN.isdisjoint(key))
    words = [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
    hints = (nearest(word, choices(kind)) for word in words if word not in choices(kind))
    return Problem(key, f"expected {wanted(kind)}, got {got}", next(filter(None, hints), ""))


def unknown_key(key: Key) -> str:
    """Why there is no setting `key`, with the nearest one; empty when there is."""
    kind: Kind = SCHEMA
    for part in key:
        found = _member(kind, part)
        if found is None:
            hint = _instead(part, kind)
            return f"unknown key ({hint})" if hint else "unknown key (bm config show)"
        kind = found
    return ""


def _instead(name: str, kind: Kind) -> str:
    if near := nearest(name, members(kind)):
        return near
    elsewhere = [(section, name) for section in members(SCHEMA) if kind_of((section, name)) is not None]
    fixed = [key for key in elsewhere if isinstance(kind_of(key[:1]), inspect.StructType)]
    return f'did you mean "{dotted(fixed[0])}"?' if fixed else ""


_PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ORIGIN_SCHEMES = ("http", "https", "chrome-extension", "moz-extension", "app", "tauri", "capacitor")
_STORE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IN_QUERY = re.compile(r"[?&](ssl)?password=", re.IGNORECASE)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def broken_rules(config: Config, known: Collection[str]) -> Iterator[Problem]:
    """Problems of `config` that its types allow. `known` are the names of the providers in the catalog."""
    yield from _server(config.server)
    yield from _origins(config.server)
    yield from _upstream(("gemini",), config.gemini.base_url, config.gemini.headers, config.server)
    yield from _proxy(("upstream_proxy",), config.upstream_proxy)
    yield from _proxy(("gemini", "proxy"), config.gemini.proxy)
    if not config.gemini.base_url:
        yield Problem(("gemini", "base_url"), "is empty", "remove the line to get the default")
    yield from _budgets(config, known)
    yield from _shared(config.shared)
    yield from _seal(config)
    yield from _ledger(config.ledger.url)
    if config.telemetry.endpoint and not _is_url(config.telemetry.endpoint, ("http", "https")):
        yield Problem(("telemetry", "endpoint"), "is not an http or https URL", 'such as "http://127.0.0.1:4318"')
    for name, provider in config.providers.items():
        key = ("providers", name)
        yield from _provider(key, name, provider, known)
        yield from _upstream(key, provider.base_url, provider.headers, config.server)
        yield from _proxy((*key, "proxy"), provider.proxy)


def _server(server: Server) -> Iterator[Problem]:
    if not server.host:
        yield Problem(("server", "host"), "is empty", 'write "127.0.0.1", or "0.0.0.0" for every interface')
    elif server.auth == "none" and not is_loopback(server.host):
        message = f'"none" is refused while host "{server.host}" accepts other machines'
        yield Problem(("server", "auth"), message, 'write auth = "key" or host = "127.0.0.1"')
    if server.url and (not _is_url(server.url, ("http", "https")) or urlsplit(server.url).query):
        yield Problem(("server", "url"), "is not an http or https URL", 'such as "https://bm.example"')
    for given, missing in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
        if getattr(server, given) and not getattr(server, missing):
            yield Problem(("server", missing), f"is missing beside {given}", "both are paths of PEM files")


def _budgets(config: Config, known: Collection[str]) -> Iterator[Problem]:
    budgets, names = config.budgets, {"gemini", *known, *config.providers}
    written: list[tuple[Key, str | tuple[str, ...]]] = [(("budgets", "total"), budgets.total)]
    written += [(("budgets", "providers", name), each) for name, each in budgets.providers.items()]
    written += [(("budgets", "keys", name), each) for name, each in budgets.keys.items()]
    for key, limits in written:
        try:
            limits_of(limits)
        except ValueError as error:
            yield Problem(key, str(error))
    for table in ("providers", "free"):
        for name in getattr(budgets, table):
            if name not in names:
                yield Problem(("budgets", table), f"no provider is named {name!r}", nearest(name, sorted(names)))
    model = budgets.on_exhausted.removeprefix(ROUTE)
    if budgets.on_exhausted != REFUSE and (model == budgets.on_exhausted or not model.strip()):
        hint = 'write "refuse", or "route:" and a model or alias'
        yield Problem(("budgets", "on_exhausted"), f"{budgets.on_exhausted!r} is neither", hint)


def _origins(server: Server) -> Iterator[Problem]:
    for origin in server.allowed_origins:
        if not _is_url(origin, _ORIGIN_SCHEMES) or urlsplit(origin).path not in ("", "/"):
            message = f"{origin!r} is not an origin"
            yield Problem(("server", "allowed_origins"), message, 'such as "https://chat.example:5173"')


def _provider(key: Key, name: str, provider: ProviderConfig, known: Collection[str]) -> Iterator[Problem]:
    if name == "gemini":
        yield Problem(key, "the Gemini API has its own section", "write [gemini]")
    elif not _PROVIDER_NAME.fullmatch(name):
        yield Problem(key, "a provider name consists of a-z, 0-9, - and _")
    elif name not in known:
        hint = nearest(name, sorted(known)) or f'bm has no built-in provider "{name}"'
        if not provider.protocol:
            yield Problem((*key, "protocol"), "is missing", hint)
        if not provider.base_url:
            yield Problem((*key, "base_url"), "is missing", hint)


def _upstream(key: Key, base_url: str, headers: Mapping[str, str], server: Server) -> Iterator[Problem]:
    if base_url and not _is_url(base_url, ("http", "https")):
        yield Problem((*key, "base_url"), "is not an http or https URL")
    elif points_at(base_url, server):
        yield Problem((*key, "base_url"), "points at bm itself", "write the address of the provider")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            yield Problem((*key, "headers", name), "is not a header name")
        elif not value.isprintable():
            yield Problem((*key, "headers", name), "a header value must not contain line breaks or control characters")


def _proxy(key: Key, proxy: UpstreamProxy | None) -> Iterator[Problem]:
    if proxy is None or proxy.url in ("", "direct"):
        return
    try:
        read_proxy(proxy.url)
    except ValueError as error:
        yield Problem((*key, "url"), str(error), 'such as "http://proxy:3128"')


def _shared(shared: Shared) -> Iterator[Problem]:
    for name, value in (("name", shared.name), ("node", shared.node or "the-host")):
        if not _STORE_NAME.fullmatch(value):
            yield Problem(("shared", name), "consists of 1 to 64 of A-Z, a-z, 0-9, dot, - and _")
    try:
        read_store(shared.url or "valkey://127.0.0.1")
    except ValueError as error:
        yield Problem(("shared", "url"), str(error), 'such as "valkey://:PASSWORD@valkey.example:6379/0"')


def _seal(config: Config) -> Iterator[Problem]:
    if not all(map(is_reference, config.shared.seals)):
        # Not quoted: it may be the key itself.
        hint = 'such as "file:/etc/bm/seal"; env:NAME, cmd:COMMAND and keyring:NAME do as well'
        yield Problem(("shared", "seal"), "does not say where the key of the seal is", hint)
    elif config.shared.seals and not config.ledger.url:
        hint = "set ledger.url, or remove shared.seal to keep accounts and keys in files"
        yield Problem(("shared", "seal"), "seals what is in a database, and there is none", hint)


def _ledger(url: str) -> Iterator[Problem]:
    form = 'such as "postgresql://USER:PASSWORD@HOST:5432/DATABASE"'
    scheme, _, rest = url.partition("://")
    if url and (scheme not in ("postgresql", "postgres") or not rest or not url.isprintable() or " " in url):
        yield Problem(("ledger", "url"), "is not the URL of a PostgreSQL database", form)
    elif _IN_QUERY.search(url):
        hint = "write it before the @, set PGPASSWORD, or name a passfile"
        yield Problem(("ledger", "url"), "has a password among its options, where it would be shown", hint)


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and url.isprintable() and " " not in url
