"""clients.json: what `bm setup` has changed in the files of tools, and what was there before.

It holds bm's key and whatever stood in the changed settings, so only its owner can read it. It is written before the
files are: a crash in between leaves a record of what did not happen, which undoing notices.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bm.clients.change import Put
from bm.clients.formats import Format
from bm.config.atomic import write_private
from bm.errors import ConfigError


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file of one tool.

    `before` is its text without anything of bm, None when there was no file; `after` is the text that bm has written.
    `mode` are the permissions it had, and `set_mode` those that bm gave it. `folders` are those that bm has made for
    it, the outermost first.
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
    """Every file that bm has changed and not yet put back."""

    version: int = 1
    records: tuple[Record, ...] = ()

    def of(self, tool: str) -> tuple[Record, ...]:
        """The files of one tool."""
        return tuple(record for record in self.records if record.tool == tool)

    def find(self, path: Path) -> Record | None:
        """The record of one file."""
        return next((record for record in self.records if record.path == path), None)

    def replaced(self, path: Path, record: Record | None) -> Journal:
        """With `record` as the one of `path`; without any when it is None."""
        others = tuple(each for each in self.records if each.path != path)
        return msgspec.structs.replace(self, records=others if record is None else (*others, record))


def load(path: Path) -> Journal:
    """Read the journal; an absent one is empty.

    Raises:
        ConfigError: it cannot be read or understood.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal, dec_hook=_path)
    except FileNotFoundError:
        return Journal()
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "it is needed to undo bm setup; put the settings back by hand and remove it, or restore it"
        raise ConfigError(f"cannot be read: {error}", path=str(path), hint=hint) from None


def save(path: Path, journal: Journal) -> None:
    """Write the journal; one without records goes.

    Raises:
        OSError: it cannot be written; the old one is untouched.
    """
    if journal.records:
        write_private(path, msgspec.json.format(msgspec.json.encode(journal, enc_hook=str)) + b"\n")
    else:
        path.unlink(missing_ok=True)


def _path(kind: type, value: object) -> Path:
    """A path, which JSON holds as a text."""
    return Path(str(value))
