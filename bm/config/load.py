"""Load the configuration: read the file, apply the environment, and report every problem at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bm.config.chains import broken_chains
from bm.config.environment import Override, classic, laid_over, named, sources
from bm.config.files import writable_by_others
from bm.config.keys import Key, dotted, key_lines
from bm.config.schema import GEMINI_MODELS, Config
from bm.config.validation import Problem, Table, broken_rules, checked
from bm.errors import ConfigError

MAX_DEPTH = 32
"""Levels of tables and arrays in a file; each level is a call of most functions that read it."""
_MAX_BITS = 10_000
_TOML_PLACE = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)$")


class InvalidConfig(ConfigError):
    """Every problem of the configuration, one per line. The attributes are those of the first problem."""

    def __init__(self, problems: Iterable[ConfigError]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        super().__init__(first.message, path=first.path, line=first.line, key=first.key, hint=first.hint)
        self.args = ("\n".join(str(problem) for problem in self.problems),)


def problems_in(error: ConfigError) -> tuple[ConfigError, ...]:
    """The problems that an error reports, one by one."""
    return error.problems if isinstance(error, InvalidConfig) else (error,)


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A valid configuration.

    `warnings` are lines to display and log. `sources` maps each dotted key that the environment sets to the name of
    its variable; all other values come from the file or are defaults.
    """

    config: Config
    warnings: tuple[str, ...] = ()
    sources: dict[str, str] = {}


def load(path: Path, environ: Mapping[str, str], *, known: Collection[str]) -> Loaded:
    """Load `path` (a missing file counts as empty) with the overrides from `environ`.

    `known` are the names of the providers in the catalog, which need neither protocol nor base URL.

    Raises:
        InvalidConfig: the content is invalid; the message lists every problem with its place.
        ConfigError: the file cannot be read, or other users can change it.
    """
    if danger := writable_by_others(path):
        raise ConfigError(danger, path=str(path))
    return parse(read_text(path), environ, known=known, path=str(path))


def read_text(path: Path) -> str:
    """The text of the file with its own line ends; empty when there is no file.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text", path=str(path), line=line) from None


def parse(text: str, environ: Mapping[str, str], *, known: Collection[str], path: str) -> Loaded:
    """Load a text. `path` is used in messages only.

    Raises:
        InvalidConfig: the content is invalid.
    """
    raw = parse_toml(text, path)
    own = named(environ, raw, known)
    merged = laid_over(raw, own.values)
    tools = classic(environ, merged, known, _build(checked(merged)[0]).server)
    overrides = (*tools.values, *own.values)
    accepted, problems = checked(laid_over(raw, overrides))
    config = _build(accepted)
    refused = [problem.key for problem in problems]
    problems += [each for each in broken_rules(config, known) if not _is_below(each.key, refused)]
    chains = [each for each in broken_chains(config, known) if not _is_below(each.key, refused)]
    problems += [each for each in chains if not any(_is_below(key, [each.key]) for key in refused)]
    if problems or own.problems:
        raise InvalidConfig([*_placed(problems, text, path, overrides), *map(_of_variable, own.problems)])
    return Loaded(config=config, warnings=(*own.warnings, *tools.warnings), sources=sources(overrides))


def read_toml(text: str) -> Table:
    """The text as plain dicts.

    Raises:
        TOMLDecodeError: it is not valid TOML.
        ValueError: it contains a number of thousands of digits, which Python refuses to read or to show.
        RecursionError: it is nested too deeply.
    """
    table = tomllib.loads(text)
    level: list[Any] = [table]
    for _ in range(MAX_DEPTH):
        level = [each for values in level for each in _inner(values)]
    if level:
        raise RecursionError
    return table


def _inner(value: Any) -> Collection[Any]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise ValueError
    return value if isinstance(value, list) else ()


def parse_toml(text: str, path: str) -> Table:
    """The text as plain dicts.

    Raises:
        InvalidConfig: it is not valid TOML; the message names the line.
    """
    try:
        return read_toml(text)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
        message = f"not valid TOML: {_TOML_PLACE.sub('', str(error))}"
        column = f"column {place[2]}" if place and place[2] else ""
        raise InvalidConfig([ConfigError(message, path=path, line=line, hint=column)]) from None
    except (ValueError, RecursionError):
        message = "not valid TOML: it contains a number with too many digits or is nested too deeply"
        raise InvalidConfig([ConfigError(message, path=path)]) from None


def _build(accepted: Table) -> Config:
    gemini = accepted.get("gemini", {})
    models = {**GEMINI_MODELS, **gemini.get("models", {})}
    return msgspec.convert({**accepted, "gemini": {**gemini, "models": models}}, Config)


def _is_below(key: Key, refused: list[Key]) -> bool:
    """Whether a refused value already explains the problem at `key`."""
    return any(key[: len(each)] == each for each in refused)


def _placed(problems: list[Problem], text: str, path: str, overrides: tuple[Override, ...]) -> Iterable[ConfigError]:
    """The problems with their lines, in file order; those of environment variables come last."""
    lines = key_lines(text)
    variables = [_variable_of(problem.key, overrides, lines) for problem in problems]
    pairs = list(zip(problems, variables, strict=True))
    in_file = [_at_line(problem, path, lines) for problem, variable in pairs if not variable]
    yield from sorted(in_file, key=lambda error: error.line)
    for problem, variable in pairs:
        if variable:
            yield ConfigError(_said(problem, variable, overrides), key=variable, hint=problem.hint)


def _variable_of(key: Key, overrides: tuple[Override, ...], lines: Mapping[Key, int]) -> str:
    """The variable that set the value at `key`, or that introduced the provider it is missing from; else empty."""
    for override in reversed(overrides):
        if key[: len(override.key)] == override.key:
            return override.variable
    made = [each for each in overrides if key[:2] == each.key[:2] and key[0] == "providers"]
    return made[-1].variable if made and key[:2] not in lines else ""


def _said(problem: Problem, variable: str, overrides: tuple[Override, ...]) -> str:
    given = any(each.variable == variable and each.key == problem.key for each in overrides)
    return problem.message if given else f"{dotted(problem.key)} {problem.message}"


def _at_line(problem: Problem, path: str, lines: Mapping[Key, int]) -> ConfigError:
    depths = range(len(problem.key), 0, -1)
    line = next((lines[problem.key[:depth]] for depth in depths if problem.key[:depth] in lines), 0)
    return ConfigError(problem.message, path=path, line=line, key=dotted(problem.key), hint=problem.hint)


def _of_variable(problem: Problem) -> ConfigError:
    return ConfigError(problem.message, key=problem.key[0], hint=problem.hint)
