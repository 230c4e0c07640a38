"""The environment variables that point common tools and SDKs at bm, as statements for each shell."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Final, Literal, NamedTuple, get_args

Shell = Literal["bash", "zsh", "fish", "pwsh", "cmd"]
SHELLS: Final[tuple[Shell, ...]] = get_args(Shell)


class Variable(NamedTuple):
    """One variable. `{origin}` and `{key}` in its value are bm's address and local key; `readers` are who reads it."""

    name: str
    value: str
    readers: str


VARIABLES: Final[tuple[Variable, ...]] = (
    Variable("ANTHROPIC_BASE_URL", "{origin}", "Claude Code, Anthropic SDKs"),
    Variable("ANTHROPIC_API_BASE", "{origin}", "aider, litellm"),
    Variable("ANTHROPIC_AUTH_TOKEN", "{key}", "Claude Code, Anthropic SDKs"),
    Variable("OPENAI_BASE_URL", "{origin}/v1", "OpenAI SDKs and what is built on them"),
    Variable("OPENAI_API_BASE", "{origin}/v1", "aider, litellm"),
    Variable("OPENAI_API_KEY", "{key}", "OpenAI SDKs, aider"),
    Variable("GOOGLE_GEMINI_BASE_URL", "{origin}", "Gemini CLI, Google GenAI SDKs"),
    Variable("GEMINI_API_BASE", "{origin}", "aider, litellm"),
    Variable("GEMINI_API_KEY", "{key}", "Gemini CLI, Google GenAI SDKs, aider"),
    # The Groq SDKs append /openai/v1 themselves.
    Variable("GROQ_BASE_URL", "{origin}", "Groq SDKs"),
    Variable("GROQ_API_KEY", "{key}", "Groq SDKs"),
)

UNSET: Final[tuple[str, ...]] = ("ANTHROPIC_API_KEY", "GOOGLE_API_KEY")
"""Variables that would override those above: Claude Code rejects a key beside a token, and Google's SDKs prefer
GOOGLE_API_KEY. A tool that insists on ANTHROPIC_API_KEY takes the value of ANTHROPIC_AUTH_TOKEN."""


class Dialect(NamedTuple):
    """How a shell sets and unsets a variable."""

    assign: Callable[[str, str], str]
    unset: Callable[[str], str]


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _pwsh(value: str) -> str:
    # PowerShell treats typographic quotes as quotes.
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
"""How to run the statements in each shell."""


def values(origin: str, key: str) -> dict[str, str]:
    """The variables to set for a bm at `origin` (without a trailing slash) with the local key `key`."""
    return {row.name: row.value.format(origin=origin, key=key) for row in VARIABLES}


def script(shell: Shell, assigned: Mapping[str, str], unset: tuple[str, ...]) -> str:
    """Statements that set and unset variables, one per line. Without comments: an interactive zsh would run them."""
    dialect = DIALECTS[shell]
    lines = [dialect.unset(name) for name in unset]
    lines += [dialect.assign(name, value) for name, value in assigned.items()]
    return "\n".join(lines)


def detect(environ: Mapping[str, str], *, windows: bool) -> Shell:
    """The shell that `environ` names; bash when bm does not know it."""
    name = PurePath(environ.get("SHELL", "")).stem
    if windows and not name:
        return "pwsh"
    return next((shell for shell in SHELLS if shell == name), "bash")
