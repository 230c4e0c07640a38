"""Secrets: references that say where a key is stored, hints that may be shown, and masking in texts.

A reference is the key itself or one of

    env:NAME        an environment variable
    file:PATH       the content of a file; `~` is expanded
    cmd:COMMAND     the output of a command; run without a shell
    keyring:NAME    the system's keyring, service `better-manager`, user NAME

Surrounding white space is removed. No error raised here contains a secret.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

from bm.config.proxy import read_proxy
from bm.config.schema import Config, Gemini, ProviderConfig
from bm.config.shared import read_store
from bm.errors import ConfigError

COMMAND_LIMIT = 10.0
"""Seconds a `cmd:` command may take."""

KEYRING_SERVICE = "better-manager"

_MASKABLE = 20
"""Shorter secrets are hidden completely: showing eight characters would reveal too much."""


def resolve(reference: str, environ: Mapping[str, str]) -> str:
    """The secret that `reference` stands for. May block for up to `COMMAND_LIMIT` seconds.

    Raises:
        ConfigError: it cannot be found, is empty, or cannot be sent in a header.
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
    """Whether `text` says where a secret is stored. Otherwise it is the secret itself, or empty."""
    scheme, colon, _ = text.partition(":")
    return bool(colon) and scheme in _SCHEMES


def hint(secret: str) -> str:
    """A shortened form of `secret` that may be displayed, such as `sk-a…9f3c`."""
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
        # RuntimeError: `~name` of an unknown user. UnicodeDecodeError must not be shown: it quotes the content.
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
        raise ConfigError(f"did not finish within {COMMAND_LIMIT:g} seconds", key=reference) from None
    except OSError as error:
        raise ConfigError(f"cannot be run: {error.strerror}", key=reference) from error
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        reason = f": {last[0][:200]}" if last else ""
        raise ConfigError(f"ended with exit code {done.returncode}{reason}", key=reference)
    return done.stdout.decode(errors="replace")


def _from_keyring(name: str, environ: Mapping[str, str], reference: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        install = "pip install 'better-manager[keyring]'"
        raise ConfigError("the keyring package is not installed", key=reference, hint=install) from None
    try:
        secret = keyring.get_password(KEYRING_SERVICE, name)
    except keyring.errors.KeyringError as error:
        raise ConfigError(f"the keyring cannot be read: {error}", key=reference) from error
    if secret is None:
        command = f"keyring set {KEYRING_SERVICE} {name}"
        raise ConfigError("is not in the keyring", key=reference, hint=command)
    return str(secret)


_SCHEMES: dict[str, Callable[[str, Mapping[str, str], str], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "cmd": _from_command,
    "keyring": _from_keyring,
}


SHAPES = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|AIza[0-9A-Za-z_-]{30,}|AQ\.[0-9A-Za-z_-]{20,}|gsk_[A-Za-z0-9]{16,}|xai-[A-Za-z0-9]{16,}"
    r"|tgp_v1_[A-Za-z0-9_-]{16,}|bm-[A-Za-z0-9_-]{43}|ya29\.[0-9A-Za-z_-]{16,}|1//[0-9A-Za-z_-]{24,}"
    r"|GOCSPX-[0-9A-Za-z_-]{16,})"
)
"""The shapes of common providers' keys and of Google's tokens and client secrets, to mask keys bm does not know."""

_BEGINNINGS = ("sk-", "AIza", "AQ.", "gsk_", "xai-", "tgp_v1_", "bm-", "ya29.", "1//", "GOCSPX-")
"""The prefixes of `SHAPES`. Most texts contain none, and searching for them costs a fifth of the expression."""

SHORTEST = 8
"""Shorter secrets are not masked: they would match ordinary words."""

MASK = "[secret]"

HEAD = 4
"""Characters by which secrets are looked for: most services' keys have that many in common."""


def _longest_first(form: str) -> tuple[int, str]:
    return -len(form), form


def configured_secrets(config: Config) -> Iterator[str]:
    """The secrets that a configuration holds beside keys: values of headers, and passwords in URLs."""
    sections: list[Gemini | ProviderConfig] = [config.gemini, *config.providers.values()]
    for section in sections:
        yield from section.headers.values()
        with suppress(ValueError):
            password = urlsplit(section.base_url).password or ""
            yield from (password, unquote(password))
    for proxy in (config.upstream_proxy, *(section.proxy for section in sections if section.proxy)):
        with suppress(ValueError):
            yield read_proxy(proxy.url).password
    with suppress(ValueError):
        password = urlsplit(config.telemetry.endpoint).password or ""
        yield from (password, unquote(password))
    with suppress(ValueError):
        yield read_store(config.shared.url).password
    url = config.ledger.url
    # Where it ends to the library that connects, and where one does that holds an @ itself.
    for end in {url.find("@"), url.rfind("@")} - {-1}:
        password = url[:end].partition("://")[2].partition(":")[2]
        yield from (password, unquote(password))


def without_login(url: str) -> str:
    """The URL of a proxy, a store or a database with an ellipsis in place of user and password.

    Their passwords may contain what ends the host elsewhere.
    """
    return f"{url.partition('://')[0]}://…@{url.rpartition('@')[2]}" if "@" in url else url


def without_password(url: str) -> str:
    """The URL with an ellipsis in place of user and password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=f"…@{parts.netloc.rpartition('@')[2]}").geturl()


_ESCAPE = re.compile(
    r"(?:(?<!\\)\\++(?:u00|x)|%)([0-9A-Fa-f]{2})|(?<!\\)\\++u([0-9A-Fa-f]{4})|(?<!\\)\\++([\"/])|(?<!\\)(\\)\\++"
    r"|&#(?:[xX]0*([0-9A-Fa-f]{1,4})|0*([0-9]{1,5}));"
)
"""One character as JSON, URLs and HTML may write it; in JSON within JSON with any number of backslashes."""


def _meant(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    byte, unit, mark, backslash, hexadecimal, decimal = escape.groups()
    return mark or backslash or chr(int(decimal) if decimal else int(byte or unit or hexadecimal, 16))


class Mask:
    """Masks secrets in texts, plain or as JSON, URLs and HTML write them. It keeps every secret it has learnt."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: frozenset[str] = frozenset()
        self._by_head: dict[str, tuple[str, ...]] = {}
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        known = [secret for secret in secrets if len(secret) >= SHORTEST]
        writings = (str, lambda secret: json.dumps(secret)[1:-1], lambda secret: quote(secret, safe=""), html.escape)
        forms = {write(secret) for secret in known for write in writings}
        if forms <= self._forms:
            return
        self._forms |= forms
        by_head: dict[str, list[str]] = {}
        for form in sorted(self._forms, key=_longest_first):
            by_head.setdefault(form[:HEAD], []).append(form)
        self._by_head = {head: tuple(found) for head, found in by_head.items()}

    def _possible(self, text: str) -> Sequence[str]:
        """The forms whose beginning is in a text, the longest first: one secret may be part of another.

        The keys of a service begin alike, so with hundreds of accounts there are few beginnings to look for.
        """
        found = [forms for head, forms in self._by_head.items() if head in text]
        return found[0] if len(found) == 1 else sorted(chain.from_iterable(found), key=_longest_first)

    def __call__(self, text: str) -> str:
        for form in self._possible(text):
            text = text.replace(form, MASK)
        if any(beginning in text for beginning in _BEGINNINGS):
            text = SHAPES.sub(MASK, text)
        return self._unescaped(text) if "\\" in text or "%" in text or "&#" in text else text

    def _unescaped(self, text: str) -> str:
        """Mask the secrets of which some characters are escaped. JSON may be quoted within JSON."""
        plain = _ESCAPE.sub(_meant, text)
        forms = self._possible(plain)
        if not any(known in plain for known in (*forms, *_BEGINNINGS)):
            return text
        starts: list[int] = []
        pieces: list[str] = []
        end = 0
        for escape in _ESCAPE.finditer(text):
            starts += range(end, escape.start() + 1)
            end = escape.end()
        starts += range(end, len(text) + 1)
        end = 0
        for secret in re.finditer("|".join((*map(re.escape, forms), SHAPES.pattern)), plain):
            pieces += (text[end : starts[secret.start()]], MASK)
            end = starts[secret.end()]
        return "".join((*pieces, text[end:]))

    def masked_bytes(self, data: bytes) -> bytes:
        """Bytes of a body or stream, which may not be UTF-8, with every secret masked."""
        return self(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def masked(config: msgspec.Struct) -> dict[str, Any]:
    """`config` as plain tables without unset values; keys, header values and passwords in URLs are masked."""
    shown: dict[str, Any] = _masked(msgspec.to_builtins(config), "")
    return shown


def _masked(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        if key == "headers":
            return dict.fromkeys(value, "…")
        return {name: _masked(each, name) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_masked(each, key) for each in value]
    if key == "api_key" and value and not is_reference(value):
        return hint(value)
    if key in ("base_url", "endpoint"):
        return without_password(value)
    if key == "url":
        return without_login(value)
    return value
