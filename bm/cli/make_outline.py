"""Make the outline that completion reads, from the commands, the catalogs and the schema."""

from __future__ import annotations

from typing import Any

from bm.cli.outline import prefixed


def made() -> dict[str, Any]:
    """Help, commands, options and arguments of `command`; `providers`, `models`, `tools`, `programs`, `settings`."""
    import typer

    from bm.cli.app import app
    from bm.clients.catalog import TOOLS
    from bm.providers.catalog import CATALOG

    models = ["opus", "sonnet", "haiku"]
    for row in CATALOG.values():
        models += [prefixed(row.name, each) for each in {**row.words, **row.models}.values()]
    return {
        "command": _command(typer.main.get_command(app)),
        "providers": list(CATALOG),
        "models": sorted(set(models)),
        "tools": [tool.name for tool in TOOLS],
        "programs": [tool.name for tool in TOOLS if tool.runs],
        "settings": _settings(),
    }


def _command(command: Any, name: str = "bm") -> dict[str, Any]:
    offers = _offers(command)
    context = command.make_context(name, [], resilient_parsing=True)
    parameters = command.get_params(context)
    options = [each for each in parameters if each.param_type_name == "option" and not each.hidden]
    return {
        "help": command.get_short_help_str(80),
        "commands": {name: _command(below, name) for name, below in getattr(command, "commands", {}).items()},
        "options": [
            _parameter(each, offers) | {"names": _names(each), "help": each.help or "", "value": not each.is_flag}
            for each in options
        ],
        "arguments": [
            _parameter(each, offers) | {"many": each.nargs == -1}
            for each in parameters
            if each.param_type_name == "argument"
        ],
    }


def _names(option: Any) -> list[str]:
    """The long names before the short ones."""
    return sorted((*option.opts, *option.secondary_opts), key=lambda name: not name.startswith("--"))


def _parameter(parameter: Any, offers: dict[str, str]) -> dict[str, Any]:
    choices = getattr(parameter.type, "choices", None) or ()
    return {"choices": [str(each) for each in choices], "offers": offers.get(parameter.name, "")}


def _offers(command: Any) -> dict[str, str]:
    """By parameter, the function of `bm.cli.completion` that knows its values."""
    import inspect
    import typing

    callback = inspect.unwrap(command.callback) if command.callback else None
    if callback is None:
        return {}
    found = {}
    for name, hint in typing.get_type_hints(callback, include_extras=True).items():
        for each in getattr(hint, "__metadata__", ()):
            if function := getattr(each, "autocompletion", None):
                found[name] = function.__name__
    return found


def _settings(key: tuple[str, ...] = ()) -> dict[str, Any]:
    """A table `{"members", "other"}`, where `other` are members of any name, or a setting `{"values"}`."""
    from bm.config.validation import choices, is_table, kind_of, members, wanted, without_none

    found = kind_of(key)
    kind = without_none(found) if found is not None else None
    if kind is None:
        return {"values": []}
    if not is_table(kind):
        return {"values": ["true", "false"] if wanted(kind) == "true or false" else choices(kind)}
    names = members(kind)
    below = {name: _settings((*key, name)) for name in names}
    return {"members": below, "other": None if names else _settings((*key, "any"))}
