"""Add bm's settings to the files of a tool, and remove them again.

The changes to all files of a tool are planned first and made only when every one is possible. Each file is replaced
atomically; links are followed, permissions kept, and narrowed where bm's key goes in. Setting up again starts from
what undoing would leave, so the journal always knows the state without bm.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from bm.clients import journal
from bm.clients.change import Put, applied, by_hand, is_blank, reverted
from bm.clients.journal import Journal, Record
from bm.clients.tool import Model, SettingsFile, Tool, shown
from bm.config.document import CannotEdit
from bm.config.files import locked, make_private_folder, write_private
from bm.config.keys import Key, dotted
from bm.errors import ConfigError

KEY_IN_PRINT = "BM-KEY"
"""Stands for bm's key where settings are printed to be copied by hand."""
_NEW, _PRIVATE = 0o644, 0o600


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A planned change of one file: its text before and after, None where there is no file.

    `mode_before` and `mode` are its permissions. `record` is its future entry in the journal. `left` are settings that
    were changed after bm wrote them, and that stay.
    """

    path: Path
    before: str | None
    after: str | None
    mode_before: int | None
    mode: int
    folders: tuple[Path, ...] = ()
    record: Record | None = None
    left: tuple[Key, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether text or permissions change."""
        return self.after != self.before or (self.after is not None and self.mode != self.mode_before)


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """The journal at `path`, locked until the block ends.

    Raises:
        ConfigError: it cannot be read.
        LockTimeout: another process holds the lock.
    """
    make_private_folder(path.parent)
    with locked(path.with_name(f"{path.name}.lock")):
        yield journal.load(path)


def planned(
    tool: Tool, names: Mapping[str, str], environ: Mapping[str, str], held: Journal, models: Sequence[Model] = ()
) -> list[Change]:
    """The changes that set up `tool`; `names` has bm's `origin` and `key`, `models` are for tools that list them.

    Raises:
        ConfigError: a file cannot be read, or not be edited; the message says what to add by hand.
    """
    return [_set_up(tool, file, names, environ, held, models) for file in tool.files if is_used(file, environ)]


def is_used(file: SettingsFile, environ: Mapping[str, str]) -> bool:
    """Whether the file belongs to something that is on this machine."""
    return not file.if_present or file.place.find(environ).parent.is_dir()


def undone(records: Sequence[Record]) -> list[Change]:
    """The changes that undo `records`.

    Raises:
        ConfigError: a file cannot be read, or not be edited; the message names bm's settings in it.
    """
    return [_undo(record) for record in records]


def carry_out(changes: Sequence[Change], held: Journal, path: Path) -> None:
    """Write the journal at `path`, then the files.

    Raises:
        ConfigError: a file has changed since it was read; files written before it are restored.
        OSError: a file cannot be written; the others are restored too.
    """
    begun = held
    for change in changes:
        if change.record is not None:
            begun = begun.replaced(change.path, change.record)
    journal.save(path, begun)
    done: list[Change] = []
    try:
        for change in changes:
            _refuse_changed(change)
            _replace(change, change.after, change.mode)
            done.append(change)
    except BaseException:
        for change in reversed(done):
            _replace(change, change.before, change.mode_before or _NEW)
        journal.save(path, held)
        raise
    ended = begun
    for change in changes:
        ended = ended.replaced(change.path, change.record)
    if ended != begun:
        journal.save(path, ended)


def _set_up(
    tool: Tool,
    file: SettingsFile,
    names: Mapping[str, str],
    environ: Mapping[str, str],
    held: Journal,
    models: Sequence[Model],
) -> Change:
    path = Path(os.path.realpath(file.place.find(environ)))
    now, mode = read(path), _mode(path)
    old = held.find(path)
    private = sys.platform != "win32" and any(setting.is_secret for setting in file.settings)

    base, base_mode, folders = now, mode, _missing_folders(path)
    if old is not None:
        base, folders = _undo(old).after, old.folders or folders
        base_mode = old.mode if mode in (None, old.set_mode) else mode
    with _explained(path, lambda: _instructions(file, names)):
        listed = file.listing(models) if file.listing else ()
        after, puts = applied(base or "", file.format, (*file.settings, *listed), names)
    set_mode = (mode if mode is not None else _NEW) & (_PRIVATE if private else 0o777)
    if mode is not None and not mode & stat.S_IWUSR and after != now:
        text = f"is read-only, so bm leaves it alone; {_instructions(file, names)}"
        raise ConfigError(text, path=shown(path))
    record = Record(
        tool=tool.name,
        path=path,
        format=file.format,
        before=base,
        after=after,
        mode=base_mode,
        set_mode=set_mode,
        folders=folders,
        puts=_with_history(puts, old),
    )
    return Change(path=path, before=now, after=after, mode_before=mode, mode=set_mode, folders=folders, record=record)


def _instructions(file: SettingsFile, names: Mapping[str, str]) -> str:
    """How to make the change by hand."""
    gone = [dotted(setting.key) for setting in file.settings if setting.value is None]
    lines = by_hand(file.format, file.settings, {**names, "key": KEY_IN_PRINT}).rstrip()
    without = f", remove {', '.join(gone)}" if gone else ""
    return f"add this yourself, with bm's key in place of {KEY_IN_PRINT} (bm env prints it){without}:\n{lines}"


def _with_history(puts: Sequence[Put], old: Record | None) -> tuple[Put, ...]:
    """`puts` with the values bm wrote earlier: after a crash the file may still hold those."""
    earlier = {put.key: put.ours for put in old.puts} if old is not None else {}
    return tuple(
        msgspec.structs.replace(put, ours=tuple(dict.fromkeys((*put.ours, *earlier.get(put.key, ()))))) for put in puts
    )


def _undo(record: Record) -> Change:
    path = record.path
    now, mode = read(path), _mode(path)
    own_mode = record.mode if record.mode is not None and mode == record.set_mode else mode
    after: str | None = None if now is None else record.before
    left: tuple[Key, ...] = ()
    if now not in (None, record.before, record.after):
        with _explained(path, lambda: f"bm's settings in it are {', '.join(dotted(put.key) for put in record.puts)}"):
            after, left = reverted(now or "", record.format, record.puts)
            if record.before is None and is_blank(after, record.format):
                after = None
    return Change(
        path=path,
        before=now,
        after=after,
        mode_before=mode,
        mode=own_mode or _NEW,
        folders=record.folders,
        left=left,
    )


@contextmanager
def _explained(path: Path, remedy: Callable[[], str]) -> Iterator[None]:
    """Turn CannotEdit into a ConfigError that says why the file is unchanged, and the remedy."""
    try:
        yield
    except CannotEdit as error:
        raise ConfigError(f"is not changed: {error}; {remedy()}", path=shown(path)) from None


def read(path: Path) -> str | None:
    """The text of a settings file with its original line ends; None when there is no file.

    Raises:
        ConfigError: it is not text.
        OSError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text, so it is not changed", path=shown(path)) from None


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _missing_folders(path: Path) -> tuple[Path, ...]:
    return tuple(reversed([folder for folder in path.parents if not folder.exists()]))


def _refuse_changed(change: Change) -> None:
    if read(change.path) != change.before:
        raise ConfigError("was just changed by another program", path=shown(change.path), hint="try again")


def _replace(change: Change, text: str | None, mode: int) -> None:
    """Give the file of `change` this text and mode; None deletes it."""
    if text is None:
        _remove(change.path, change.folders)
    elif change.changes:
        make_private_folder(change.path.parent)
        write_private(change.path, text.encode(), mode)


def _remove(path: Path, folders: Sequence[Path]) -> None:
    """Delete a file that bm created, and the folders it created for it unless they hold other files."""
    path.unlink(missing_ok=True)
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()
