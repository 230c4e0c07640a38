"""What shell completion offers: commands, options and their values, and the names that this home has.

Completion must be fast and must never fail. So it imports neither the commands nor the rules of files: the commands are
read from their outline, files as plain TOML, and what cannot be read offers nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bm.cli import outline

APP_NAME = "better-manager"
"""As `bm.config.paths` has it."""

Offer = tuple[str, str]
"""A word and what it means, which may be empty."""


def offered(words: Sequence[str], incomplete: str) -> list[Offer]:
    """What may stand in place of `incomplete` after the words that follow `bm`."""
    command, arguments, option = _place(words)
    if option is not None:
        return _plain(_values(option, [], incomplete))
    if incomplete.startswith("-"):
        name, given, value = incomplete.partition("=")
        found = _option(command, name)
        if given and found:
            return _plain(f"{name}={each}" for each in _values(found, [], value))
        return [
            (name, each["help"]) for each in command["options"] for name in each["names"] if _fits(name, incomplete)
        ]
    below = [(name, each["help"]) for name, each in command["commands"].items() if _fits(name, incomplete)]
    if below or command["commands"]:
        return below
    places = command["arguments"]
    if not places:
        return _own_options(command) if not incomplete else []
    if len(arguments) >= len(places) and not places[-1]["many"]:
        return []
    place = places[min(len(arguments), len(places) - 1)]
    found_values = _values(place, arguments, incomplete)
    return _plain(each for each in found_values if not place["many"] or each not in arguments or not each)


def _place(words: Sequence[str]) -> tuple[dict[str, Any], list[str], dict[str, Any] | None]:
    """The command that the words lead to, its arguments so far, and the option that waits for its value."""
    command, waiting, closed = outline.known()["command"], None, False
    arguments: list[str] = []
    for word in words:
        if waiting is not None:
            waiting = None
        elif word == "--" and not closed:
            closed = True
        elif word.startswith("-") and not closed:
            found = _option(command, word.partition("=")[0])
            waiting = found if found and found["value"] and "=" not in word else None
        elif word in command["commands"] and not arguments:
            command = command["commands"][word]
        else:
            arguments.append(word)
    return command, arguments, waiting


def _option(command: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((each for each in command["options"] if name in each["names"]), None)


def _own_options(command: dict[str, Any]) -> list[Offer]:
    """The options of a command that takes nothing else, without its help."""
    return [(each["names"][0], each["help"]) for each in command["options"] if "--help" not in each["names"]]


def _values(place: dict[str, Any], arguments: list[str], incomplete: str) -> list[str]:
    """What an option or argument may be."""
    if place["choices"]:
        return _beginning(place["choices"], incomplete)
    if place["offers"] in _BY_ARGUMENTS:
        return _BY_ARGUMENTS[place["offers"]](arguments, incomplete)
    return _BY_WORD[place["offers"]](incomplete) if place["offers"] else []


def _plain(values: Iterable[str]) -> list[Offer]:
    return [(value, "") for value in values]


def accounts(incomplete: str) -> list[str]:
    """Names of the stored accounts."""
    return _names("accounts.toml", "accounts", incomplete)


def keys(incomplete: str) -> list[str]:
    """Names of the keys of clients."""
    return _names("keys.toml", "keys", incomplete)


def providers(incomplete: str) -> list[str]:
    """Names of the providers in the catalog and in the configuration."""
    return _beginning([*outline.known()["providers"], *_named("providers")], incomplete)


def accounts_and_providers(incomplete: str) -> list[str]:
    """What `bm test` takes."""
    return sorted({*accounts(incomplete), *providers(incomplete)})


def models(incomplete: str) -> list[str]:
    """Aliases, families, and models that bm maps names to: of Gemini, and with their prefix of the other providers.

    No list is read from a provider, which would take too long.
    """
    names = [*_named("aliases"), *outline.known()["models"]]
    for provider in _named("providers"):
        own = _named("providers", provider, "models").values()
        names += [outline.prefixed(provider, each) for each in own if isinstance(each, str)]
    return _beginning(names, incomplete)


def tools(incomplete: str) -> list[str]:
    """Names of the coding tools that bm configures."""
    return _beginning(outline.known()["tools"], incomplete)


def programs(incomplete: str) -> list[str]:
    """Names of the tools that bm runs."""
    return _beginning(outline.known()["programs"], incomplete)


def commands(args: list[str], incomplete: str) -> list[str]:
    """What `bm help` takes: commands below those that are typed already."""
    found = outline.known()["command"]
    for word in args:
        found = found["commands"].get(word, {"commands": {}})
    return _beginning(found["commands"], incomplete)


def settings(incomplete: str) -> list[str]:
    """Keys of the configuration, such as `server.port`; a table ends in a dot."""
    section = incomplete.rpartition(".")[0]
    key = section.split(".") if section else []
    table = _setting(key)
    if table is None or "values" in table:
        return []
    found = []
    catalog = outline.known()["providers"] if key == ["providers"] else []
    for name in dict.fromkeys((*table["members"], *catalog, *_named(*key))):
        below = _setting([*key, name])
        if below is not None:
            part = name if name.replace("-", "").replace("_", "").isalnum() else f'"{name}"'
            found.append(".".join((*key, part)) + ("" if "values" in below else "."))
    return _beginning(found, incomplete)


def values(args: list[str], incomplete: str) -> list[str]:
    """Values that the setting of `bm config set` may have, if these are few or names that bm knows."""
    key = (args[0] if args else "").split(".")
    if key[0] in ("aliases", "routes") or "models" in key[:-1]:
        return models(incomplete)
    if key[-1] == "api_key":
        return _beginning(["env:", "file:", "cmd:", "keyring:"], incomplete)
    return _beginning((_setting(key) or {}).get("values", []), incomplete)


_BY_WORD = {
    each.__name__: each
    for each in (accounts, keys, providers, accounts_and_providers, models, tools, programs, settings)
}
_BY_ARGUMENTS = {each.__name__: each for each in (commands, values)}
"""What a command may give as `autocompletion`; the latter also depend on the arguments before."""


def _setting(key: Sequence[str]) -> dict[str, Any] | None:
    """The table `{"members": …}` or setting `{"values": …}` of a key; None where there is none."""
    found: dict[str, Any] | None = outline.known()["settings"]
    for name in key:
        if found is None or "values" in found:
            return None
        found = found["members"].get(name, found["other"])
    return found


def _named(*section: str) -> dict[str, Any]:
    """A table of config.toml; empty if there is none."""
    found: Any = _content("config.toml")
    for name in section:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _names(file: str, table: str, incomplete: str) -> list[str]:
    """The names in a list of tables of one of bm's files."""
    rows = _content(file).get(table, [])
    rows = rows if isinstance(rows, list) else []
    return _beginning((str(row["name"]) for row in rows if isinstance(row, dict) and "name" in row), incomplete)


def _content(name: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads((folder(os.environ) / name).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}


def folder(environ: Mapping[str, str]) -> Path:
    """The folder of config.toml and accounts.toml, as `bm.config.paths`, which is slow to import, finds it."""
    if home := environ.get("BM_HOME"):
        return Path(home).expanduser().absolute()
    import platformdirs

    return platformdirs.user_config_path(APP_NAME, appauthor=False)


def _fits(name: str, incomplete: str) -> bool:
    return name.startswith(incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
