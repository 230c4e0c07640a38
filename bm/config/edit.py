"""Edit single settings in the user's file; comments, order and formatting stay as they are.

An edit holds a lock, is validated by the code that loads the file, and replaces the file atomically. If anything is
wrong, the file is not changed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from bm.config.document import CannotEdit, drop, put
from bm.config.files import locked, make_private_folder, write_private
from bm.config.keys import Key, dotted, split
from bm.config.load import InvalidConfig, parse, read_text
from bm.config.validation import Table, checked, kind_of, read
from bm.errors import ConfigError
from bm.names import Mode

LOCK_WAIT = 10.0
"""Seconds to wait for another edit to finish."""

_AT_START: Final[tuple[Key, ...]] = (
    *(("server", name) for name in ("host", "port", "websocket", "tls_cert", "tls_key")),
    *(("shared", name) for name in ("url", "name", "node", "fail")),
    ("ledger", "url"),
    ("telemetry", "endpoint"),
)

Value: TypeAlias = str | int | float | bool | list[str] | dict[str, Any]


def applies_at_start(key: Key) -> bool:
    """Whether a running daemon keeps its value of this setting, or of one in this table, until it is restarted."""
    return any(each[: len(key)] == key for each in _AT_START)


def set_values(path: Path, values: Mapping[str, Value], *, known: Collection[str]) -> None:
    """Set settings, given by their dotted keys. A missing file or table is created.

    Raises:
        InvalidConfig: the values would make the file invalid.
        ConfigError: the file is already invalid, or cannot be read or edited.
        LockTimeout: another process holds the lock.
        OSError: it cannot be written.
    """
    for key, value in values.items():
        _refuse_unwritable(key, value)

    def change(text: str) -> str:
        for key, value in values.items():
            text = put(text, split(key), value)
        return text

    _edit(path, change, known)


def unset(path: Path, key: str, *, known: Collection[str]) -> bool:
    """Remove a setting or a table, so that its default applies; False when the file does not contain it.

    Raises the same errors as `set_values`.
    """
    return _edit(path, lambda text: drop(text, split(key)), known)


def mode_settings(name: str, mode: Mode, *, enabled: bool) -> dict[str, Value]:
    """The settings that give the provider `name` a dispatch mode. A mode other than off also enables it."""
    settings: dict[str, Value] = {dotted(("providers", name, "mode")): mode}
    if mode != "off" and not enabled:
        settings[dotted(("providers", name, "enabled"))] = True
    return settings


def from_text(key: str, text: str) -> Value:
    """Parse `text` from a command line as a value of the setting `key`.

    Raises:
        InvalidConfig: the setting does not exist, or does not take this value.
    """
    parts = split(key)
    kind = kind_of(parts)
    value: Any = text if kind is None else read(text, kind)
    nested: Table = {parts[-1]: value}
    for part in reversed(parts[:-1]):
        nested = {part: nested}
    if problems := checked(nested)[1]:
        raise InvalidConfig(ConfigError(each.message, key=dotted(each.key), hint=each.hint) for each in problems)
    return value  # type: ignore[no-any-return]


def lock_of(path: Path) -> Path:
    """The file that is locked while the settings are edited."""
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name}.lock")


def _edit(path: Path, change: Callable[[str], str], known: Collection[str]) -> bool:
    """Apply `change` to the text of the file; returns whether the text has changed."""
    target = Path(os.path.realpath(path))
    make_private_folder(target.parent)
    with locked(lock_of(path), LOCK_WAIT):
        before = read_text(target)
        _refuse_if_invalid(before, path, known)
        try:
            after = change(before)
        except CannotEdit:
            message = "cannot be changed without disturbing the rest"
            raise ConfigError(message, path=str(path), hint="edit it by hand") from None
        if after == before:
            return False
        _refuse_bad_result(after, path, known)
        write_private(target, after.encode(), _mode(target))
        return True


def _refuse_unwritable(key: str, value: Value) -> None:
    """Refuse bytes of the command line that were not valid text: they arrive as lone surrogates."""
    try:
        f"{key}{value}".encode()
    except UnicodeEncodeError:
        raise ConfigError("is not valid text", key=ascii(key)) from None


def _refuse_if_invalid(text: str, path: Path, known: Collection[str]) -> None:
    try:
        parse(text, {}, known=known, path=str(path))
    except InvalidConfig as error:
        message = f"was not changed because it has errors; fix them first:\n{error}"
        raise ConfigError(message, path=str(path)) from None


def _refuse_bad_result(text: str, path: Path, known: Collection[str]) -> None:
    try:
        parse(text, {}, known=known, path=str(path))
    except InvalidConfig as error:
        # Line numbers of a text that is never written would mislead.
        raise InvalidConfig(
            ConfigError(each.message, key=each.key, hint=each.hint) for each in error.problems
        ) from None


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o600
