"""clients.json: what `bm setup` has changed in the files of tools, and what they held before.

It holds bm's key and the previous values, so only its owner can read it. It is written before the files: after a crash
in between it records a change that did not happen, which undoing detects.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bm.clients.change import Put
from bm.clients.formats import Format
from bm.config.files import write_private
from bm.errors import UNREADABLE, ConfigError


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file of one tool.

    `before` is its text without bm's settings, None when there was no file; `after` is the text bm has written. `mode`
    are its permissions before, `set_mode` those that bm gave it. `folders` are those bm created for it, outermost
    first.
    """

    tool: str
    path: Path
    format: Format
    before: str | None
    after: str
    mode: int | None = None
    set_mode: int
    folders: tuple[Path, ...] = ()
    puts: tuple[Put, ...]


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """Every file that bm has changed and not restored yet."""

    version: int = 1
    records: tuple[Record, ...] = ()

    def of(self, tool: str) -> tuple[Record, ...]:
        """The files of one tool."""
        return tuple(record for record in self.records if record.tool == tool)

    def find(self, path: Path) -> Record | None:
        """The record of one file."""
        return next((record for record in self.records if record.path == path), None)

    def replaced(self, path: Path, record: Record | None) -> Journal:
        """The journal with `record` for `path`, or without one when it is None."""
        others = tuple(each for each in self.records if each.path != path)
        return msgspec.structs.replace(self, records=others if record is None else (*others, record))


def load(path: Path) -> Journal:
    """Read the journal; a missing file is an empty one.

    Raises:
        ConfigError: it cannot be read or parsed.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal, dec_hook=_path)
    except FileNotFoundError:
        return Journal()
    except (OSError, *UNREADABLE) as error:
        hint = "bm setup --undo needs it: restore it, or restore the settings by hand and delete it"
        raise ConfigError(f"cannot be read: {error}", path=str(path), hint=hint) from None


def save(path: Path, journal: Journal) -> None:
    """Write the journal; delete the file when there are no records.

    Raises:
        OSError: it cannot be written; the old file is unchanged.
    """
    if journal.records:
        write_private(path, msgspec.json.format(msgspec.json.encode(journal, enc_hook=str)) + b"\n")
    else:
        path.unlink(missing_ok=True)


def _path(kind: type, value: object) -> Path:
    """A path, which is a string in JSON."""
    return Path(str(value))
