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


_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_LOOPBACK_NAMES: Final = {"127.0.0.1", "127.0.0.0/8", "*"}
"""Entries of NO_PROXY, one of which keeps requests to 127.0.0.1 away from a proxy."""
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")


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


def is_proxied(environ: Mapping[str, str]) -> bool:
    """Whether requests to this machine would go to a proxy, as far as the variables tell."""
    return bool(beside_proxy(environ)) and not _LOOPBACK_NAMES & set(_excepted(environ))


def beside_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """When a proxy is set: NO_PROXY with this machine added, so that requests to bm do not go to the proxy."""
    proxies = (name for name, value in environ.items() if value and name.lower() in _PROXIES)
    if not any(proxies):
        return {}
    hosts = _excepted(environ)
    joined = ",".join([*hosts, *(host for host in _LOOPBACK if host not in hosts)])
    return {"NO_PROXY": joined, "no_proxy": joined}


def _excepted(environ: Mapping[str, str]) -> list[str]:
    named = next((value for name in ("no_proxy", "NO_PROXY") if (value := environ.get(name))), "")
    return [host.strip() for host in named.split(",") if host.strip()]


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
