"""Secret references: where a key is, instead of the key itself.

A reference is the key itself (a literal), or one of

    env:NAME        an environment variable
    file:PATH       a file's content; `~` is expanded
    cmd:COMMAND     what a command prints; run without a shell
    keyring:NAME    the system's keyring, service `better-manager`, user NAME

Surrounding white space is removed from what is found. No error here holds a secret.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from bm.errors import ConfigError

COMMAND_LIMIT = 10.0
"""Seconds that a `cmd:` may take."""

KEYRING_SERVICE = "better-manager"

_MASKABLE = 20
"""Secrets shorter than this are masked whole: eight characters would give too much away."""


def resolve(reference: str, environ: Mapping[str, str]) -> str:
    """The secret that `reference` stands for; may block for up to `COMMAND_LIMIT` seconds.

    Raises:
        ConfigError: it cannot be found, is empty, or could not be sent in a header.
    """
    if not is_reference(reference):
        return reference
    scheme, _, rest = reference.partition(":")
    secret = _SCHEMES[scheme](rest.strip(), environ, reference).strip()
    if not secret:
        raise ConfigError("is empty", key=reference)
    if not secret.isprintable():
        raise ConfigError("holds more than one line, or control characters", key=reference)
    return secret


def is_reference(text: str) -> bool:
    """Whether `text` tells where a secret is; otherwise it is the secret (or empty)."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme in _SCHEMES


def hint(secret: str) -> str:
    """A form of `secret` that may be shown, such as `sk-a…9f3c`."""
    if not secret:
        return ""
    return f"{secret[:4]}…{secret[-4:]}" if len(secret) >= _MASKABLE else "…"


def _from_environment(name: str, environ: Mapping[str, str], reference: str) -> str:
    if name not in environ:
        raise ConfigError("the environment variable is not set", key=reference, hint="set it where bm is started")
    return environ[name]


def _from_file(name: str, environ: Mapping[str, str], reference: str) -> str:
    try:
        return Path(name).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", key=reference) from error
    except (UnicodeDecodeError, RuntimeError):
        # RuntimeError: `~name` of a user that does not exist. Neither text may be shown: one quotes the content.
        raise ConfigError("is not a readable text file", key=reference) from None


def _from_command(command: str, environ: Mapping[str, str], reference: str) -> str:
    try:
        words = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise ConfigError(f"is not a command line: {error}", key=reference) from None
    if not words:
        raise ConfigError("names no command", key=reference)
    try:
        done = subprocess.run(
            words, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"gave no answer in {COMMAND_LIMIT:g} seconds", key=reference) from None
    except OSError as error:
        raise ConfigError(f"cannot be run: {error.strerror}", key=reference) from error
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        words_of_it = f": {complaint[0][:200]}" if complaint else ""
        raise ConfigError(f"ended with exit code {done.returncode}{words_of_it}", key=reference)
    return done.stdout.decode(errors="replace")


def _from_keyring(name: str, environ: Mapping[str, str], reference: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        cure = "pip install 'better-manager[keyring]'"
        raise ConfigError("the keyring package is not installed", key=reference, hint=cure) from None
    try:
        secret = keyring.get_password(KEYRING_SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise ConfigError(f"the keyring cannot be read: {error}", key=reference) from error
    if secret is None:
        cure = f"keyring set {KEYRING_SERVICE} {name}"
        raise ConfigError("is not in the keyring", key=reference, hint=cure)
    return str(secret)


_SCHEMES: dict[str, Callable[[str, Mapping[str, str], str], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "cmd": _from_command,
    "keyring": _from_keyring,
}
