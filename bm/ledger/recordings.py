"""The folder of recorded exchanges: one private JSON file each, bounded in number and total size."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bm.chat.parts import Json
from bm.config.files import make_private_folder, write_private
from bm.config.paths import Paths
from bm.errors import UNREADABLE, BmError
from bm.names import ProtocolName

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MEGABYTE = 1024 * 1024


class RecordingError(BmError):
    """A recording does not exist or cannot be read."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Headers and a body. With `binary`, `body` is base64 instead of text."""

    headers: list[tuple[str, str]] = []
    body: str = ""
    binary: bool = False

    @property
    def content(self) -> bytes:
        return base64.b64decode(self.body) if self.binary else self.body.encode()


class RecordedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream request."""

    provider: str
    method: str
    url: str
    message: Message


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange: the client's request, its upstream requests, and the response that the client received.

    `complete` is false if the response was cut off, `whole` is false if a part was too large to record. `decision` is
    the document that `bm why` shows.
    """

    id: str
    at: float
    protocol: ProtocolName
    operation: str
    model: str
    stream: bool
    path: str
    request: Message
    upstream: tuple[RecordedRequest, ...]
    status: int
    answer: Message
    complete: bool
    whole: bool
    decision: Json


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `bm record list`."""

    id: str
    at: float
    protocol: str
    model: str
    status: int
    size: int = 0


def folder_of(paths: Paths) -> Path:
    """The folder of the recordings, next to the ledger."""
    return paths.ledger.with_name("recordings")


def save(folder: Path, recording: Recording, *, most: int, megabytes: int) -> bool:
    """Write a recording and remove the oldest beyond the bounds; False if it alone exceeds the total size.

    Raises:
        OSError: it cannot be written.
    """
    content = msgspec.json.encode(recording)
    if len(content) > megabytes * _MEGABYTE:
        return False
    make_private_folder(folder)
    write_private(_file(folder, recording.id), content)
    _prune(folder, most, megabytes * _MEGABYTE)
    return True


def load(folder: Path, recording_id: str) -> Recording:
    """Read a recording by id; `last` is the newest.

    Raises:
        RecordingError: it does not exist or cannot be read.
    """
    file = next(_newest_first(folder), None) if recording_id == "last" else _file(folder, recording_id)
    if file is None:
        raise RecordingError("there are no recordings (bm record on)")
    try:
        return msgspec.json.decode(file.read_bytes(), type=Recording)
    except FileNotFoundError:
        raise _unknown(recording_id) from None
    except (OSError, *UNREADABLE) as error:
        raise RecordingError(f"{file}: cannot be read: {error}") from error


def summaries(folder: Path) -> list[Summary]:
    """All recordings, newest first. Other files are skipped."""
    found = []
    for file in _newest_first(folder):
        try:
            content = file.read_bytes()
            found.append(msgspec.structs.replace(msgspec.json.decode(content, type=Summary), size=len(content)))
        except (OSError, *UNREADABLE):
            continue
    return found


def delete(folder: Path, recording_id: str) -> None:
    """Remove a recording.

    Raises:
        RecordingError: it does not exist.
    """
    try:
        _file(folder, recording_id).unlink()
    except FileNotFoundError:
        raise _unknown(recording_id) from None


def _unknown(recording_id: str) -> RecordingError:
    return RecordingError(f"there is no recording {recording_id} (bm record list)")


def clear(folder: Path) -> int:
    """Remove all recordings; returns how many."""
    files = list(_newest_first(folder))
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def _file(folder: Path, recording_id: str) -> Path:
    if not _NAME.fullmatch(recording_id):
        raise RecordingError(f"{recording_id!r} is not the id of a recording (bm record list)")
    return folder / f"{recording_id}.json"


def _newest_first(folder: Path) -> Iterator[Path]:
    """The files of recordings. A file may disappear meanwhile."""
    times = []
    for file in folder.glob("*.json"):
        try:
            times.append((file.stat().st_mtime_ns, file))
        except FileNotFoundError:
            continue
    return (file for _, file in sorted(times, reverse=True))


def _prune(folder: Path, most: int, size: int) -> None:
    for number, file in enumerate(_newest_first(folder)):
        try:
            size -= file.stat().st_size
            if number >= most or size < 0:
                file.unlink()
        except FileNotFoundError:
            continue
