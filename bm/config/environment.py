"""Settings from environment variables: `BM_<SECTION>_<KEY>` and the four classic ones of each provider.

The classic variables (`<NAME>_ENABLED`, `_DISPATCH_MODE`, `_BASE_URL`, `_API_KEY`) may be meant for other tools.
Therefore a base URL that points at bm and bm's own key are ignored with a warning, since tools are configured to use bm
by these variables, and a key counts only when neither the file nor a `BM_` variable names one. A key is stored as a
reference to its variable, so the configuration contains no secret.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from bm.config.address import points_at
from bm.config.keys import Key, dotted
from bm.config.schema import Server
from bm.config.secrets import is_reference
from bm.config.validation import SCHEMA, Kind, Problem, Table, is_table, kind_of, nearest, read, without_none

CLASSIC_PROVIDERS = ("anthropic", "groq", "together")
"""Providers whose classic variables count even if the file does not name the provider."""

_CLASSIC = {"ENABLED": "enabled", "DISPATCH_MODE": "mode", "BASE_URL": "base_url", "API_KEY": "api_key"}
_CLASSIC_GEMINI = {"ENABLED": "enabled", "BASE_URL": "base_url"}
_PREFIX = "BM_"
_OWN_KEY = re.compile(r"bm-[A-Za-z0-9_-]{43}")
"""The shape of bm's own key."""


class Override(msgspec.Struct, frozen=True):
    """A setting from the environment."""

    variable: str
    key: Key
    value: Any


class Overrides(msgspec.Struct, frozen=True):
    """All settings from the environment. The key of a problem is the name of the variable."""

    values: tuple[Override, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def named(environ: Mapping[str, str], raw: Table, known: Collection[str]) -> Overrides:
    """Overrides by `BM_` variables. Variables that match no section are ignored."""
    names = _names(raw, known)
    values: list[Override] = []
    problems: list[Problem] = []
    warnings: list[str] = []
    for variable in sorted(name for name in environ if name.startswith(_PREFIX)):
        rest = variable.removeprefix(_PREFIX)
        key = _key(rest, SCHEMA, (), raw, names)
        if key is not None:
            values.append(_override(variable, key, environ[variable]))
            continue
        near = nearest(variable.lower(), [each.lower() for each in _variables(names)], 0.9).upper()
        hint = near.replace("DID YOU MEAN", "did you mean")
        if any(rest.startswith(f"{section.upper()}_") for section in _sections()):
            problems.append(Problem((variable,), "names no setting", hint))
        elif hint:
            warnings.append(f"{variable}: names no setting ({hint})")
    return Overrides(tuple(values), tuple(problems), tuple(warnings))


def classic(environ: Mapping[str, str], raw: Table, known: Collection[str], server: Server) -> Overrides:
    """Overrides by classic variables; an empty variable counts as unset.

    `raw` is the file with the `BM_` variables applied; `server` is the address bm will listen on.
    """
    values: list[Override] = []
    loops: list[str] = []
    own: list[str] = []
    for variable, key in _classic_variables(_names(raw, known)):
        text = environ.get(variable, "")
        if not text or (key[-1] == "api_key" and _lookup(raw, key)):
            continue
        if key[-1] == "base_url" and points_at(text, server):
            loops.append(variable)
        elif key[-1] == "api_key" and _OWN_KEY.fullmatch(text.strip()):
            own.append(variable)
        else:
            values.append(_override(variable, key, text))
    warnings = (*_ignored(loops, "points at bm itself"), *_ignored(own, "holds bm's own key"))
    return Overrides(tuple(values), warnings=warnings)


def _ignored(variables: list[str], reason: str) -> Iterator[str]:
    """One warning for all variables: a shell set up by `bm env` has several, and that is no mistake."""
    if variables:
        yield f"{', '.join(variables)}: ignored, because {'it' if len(variables) == 1 else 'each'} {reason}"


def _classic_variables(names: Iterable[str]) -> Iterator[tuple[str, Key]]:
    for suffix, field in _CLASSIC_GEMINI.items():
        yield f"GEMINI_{suffix}", ("gemini", field)
    for name in names:
        for suffix, field in _CLASSIC.items():
            yield f"{_variable(name)}_{suffix}", ("providers", name, field)


def _override(variable: str, key: Key, text: str) -> Override:
    if key[-1] == "api_key" and text and not is_reference(text):
        return Override(variable, key, f"env:{variable}")
    return Override(variable, key, read(text, kind_of(key) or SCHEMA))


def _names(raw: Table, known: Collection[str]) -> list[str]:
    """The provider names a variable may contain: those of the file first, in its order."""
    configured = raw.get("providers")
    names = [*(configured if isinstance(configured, dict) else ()), *CLASSIC_PROVIDERS, *sorted(known)]
    return [name for name in dict.fromkeys(names) if name != "gemini"]


def _variable(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name).upper()


def _sections() -> list[str]:
    return [each.name for each in SCHEMA.fields] if isinstance(SCHEMA, inspect.StructType) else []


def _key(rest: str, kind: Kind, key: Key, raw: Table, names: list[str]) -> Key | None:
    """The setting below `key` that the rest of a variable's name stands for."""
    if not is_table(kind):
        return None if rest else key
    if not rest:
        return key if _is_mapping(kind) else None
    if isinstance(kind, inspect.StructType):
        return _field_key(rest, kind, key, raw, names)
    if isinstance(kind, inspect.DictType) and is_table(kind.value_type):
        return _provider_key(rest, kind.value_type, key, raw, names)
    present = _lookup(raw, key)
    spelled = {_variable(name): name for name in present} if isinstance(present, dict) else {}
    return (*key, spelled.get(rest, rest.lower()))


def _is_mapping(kind: Kind) -> bool:
    """Whether a variable may set the whole table, as a TOML inline table of strings."""
    return isinstance(kind, inspect.DictType) and not is_table(kind.value_type)


def _field_key(rest: str, kind: inspect.StructType, key: Key, raw: Table, names: list[str]) -> Key | None:
    for field in kind.fields:
        head = _variable(field.encode_name)
        if rest == head or rest.startswith(f"{head}_"):
            below = rest.removeprefix(head).removeprefix("_")
            found = _key(below, without_none(field.type), (*key, field.encode_name), raw, names)
            if found is not None:
                return found
    return None


def _provider_key(rest: str, kind: Kind, key: Key, raw: Table, names: list[str]) -> Key | None:
    for name in sorted(names, key=len, reverse=True):
        head = f"{_variable(name)}_"
        if rest.startswith(head):
            found = _key(rest.removeprefix(head), kind, (*key, name), raw, names)
            if found is not None:
                return found
    # A provider that only the environment names: its name is everything before the first name of a setting.
    parts = rest.split("_")
    for cut in range(1, len(parts)):
        name = "-".join(parts[:cut]).lower()
        found = _key("_".join(parts[cut:]), kind, (*key, name), raw, names) if name else None
        if found is not None:
            return found
    return None


def _variables(names: list[str]) -> Iterator[str]:
    """Every variable with a meaning, to find similar names."""
    for section in _sections():
        kind = kind_of((section,))
        if isinstance(kind, inspect.StructType):
            yield from (f"{_PREFIX}{section.upper()}_{_variable(field.encode_name)}" for field in kind.fields)
    row = kind_of(("providers", ""))
    if isinstance(row, inspect.StructType):
        for name in names:
            yield from (f"{_PREFIX}PROVIDERS_{_variable(name)}_{field.name.upper()}" for field in row.fields)


def _lookup(raw: Table, key: Key) -> Any:
    """The value at `key`; None when there is none."""
    value: Any = raw
    for part in key:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def laid_over(raw: Table, overrides: Iterable[Override]) -> Table:
    """A copy of `raw` with the overrides applied. A parent that is not a table stays, and validation refuses it."""
    merged = _copied(raw)
    for override in overrides:
        table: Any = merged
        for part in override.key[:-1]:
            table = table.setdefault(part, {}) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table[override.key[-1]] = override.value
    return merged


def _copied(table: Table) -> Table:
    return {name: _copied(value) if isinstance(value, dict) else value for name, value in table.items()}


def sources(overrides: Iterable[Override]) -> dict[str, str]:
    """The variable that each overridden setting comes from; the last one wins."""
    return {dotted(override.key): override.variable for override in overrides}
