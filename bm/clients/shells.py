"""How each shell sets and forgets an environment variable, whatever its value holds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Final, Literal, NamedTuple, get_args

Shell = Literal["bash", "zsh", "fish", "pwsh", "cmd"]

SHELLS: Final[tuple[Shell, ...]] = get_args(Shell)


class Dialect(NamedTuple):
    """The two statements of a shell."""

    assign: Callable[[str, str], str]
    forget: Callable[[str], str]


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _pwsh(value: str) -> str:
    # PowerShell takes typographic quotes for quotes.
    doubled = "".join(letter * 2 if letter in "'‘’‚‛" else letter for letter in value)
    return f"'{doubled}'"


_POSIX = Dialect(lambda name, value: f"export {name}={shlex.quote(value)}", lambda name: f"unset {name}")

DIALECTS: Final[dict[Shell, Dialect]] = {
    "bash": _POSIX,
    "zsh": _POSIX,
    "fish": Dialect(lambda name, value: f"set -gx {name} {_fish(value)}", lambda name: f"set -e {name}"),
    "pwsh": Dialect(
        lambda name, value: f"$env:{name} = {_pwsh(value)}",
        lambda name: f"Remove-Item Env:{name} -ErrorAction SilentlyContinue",
    ),
    "cmd": Dialect(lambda name, value: f'set "{name}={value.replace("%", "%%")}"', lambda name: f'set "{name}="'),
}

HOW: Final[dict[Shell, str]] = {
    "bash": 'eval "$(bm env)"',
    "zsh": 'eval "$(bm env)"',
    "fish": "bm env --shell fish | source",
    "pwsh": "bm env --shell pwsh | Out-String | Invoke-Expression",
    "cmd": "bm env --shell cmd > bm-env.cmd && call bm-env.cmd",
}
"""How a person has the statements carried out."""


def script(shell: Shell, assigned: Mapping[str, str], forgotten: tuple[str, ...]) -> str:
    """Statements that set and forget variables, one a line. Comments are left out: zsh would run them."""
    dialect = DIALECTS[shell]
    lines = [dialect.forget(name) for name in forgotten]
    lines += [dialect.assign(name, value) for name, value in assigned.items()]
    return "\n".join(lines)


def of_environment(environ: Mapping[str, str], *, windows: bool) -> Shell:
    """The shell that `environ` speaks of; bash where it is none of those bm knows."""
    name = PurePath(environ.get("SHELL", "")).stem
    if windows and not name:
        return "pwsh"
    return next((shell for shell in SHELLS if shell == name), "bash")
