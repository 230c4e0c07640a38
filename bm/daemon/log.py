"""daemon.log: one line per record, rotated by size, without secrets."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from io import TextIOWrapper
from pathlib import Path

from bm.config.files import Stamp, open_private, stamp
from bm.config.schema import Log
from bm.config.secrets import Mask

_POLL = 0.2
_CHUNK = 64 * 1024
_NOISY = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")


class Redactor:
    """Masks secrets in texts. `read` returns the secrets; it is called again when one of `files` has changed."""

    def __init__(self, read: Callable[[], Collection[str]], files: Collection[Path] = ()) -> None:
        self._read, self._files = read, files
        self._stamps: tuple[Stamp, ...] | None = None
        self._masks = [Mask()]

    def share(self, mask: Mask) -> None:
        """Mask what `mask` knows as well, which has learnt what references to commands and files stand for."""
        self._masks.append(mask)

    def __call__(self, text: str) -> str:
        """`text` with all present and former secrets masked."""
        stamps = tuple(stamp(file) for file in self._files)
        if stamps != self._stamps:
            self._stamps = stamps
            self._masks[0].learn(self._read())
        for mask in self._masks:
            text = mask(text)
        return text


class LineFormatter(logging.Formatter):
    """`2026-01-31 12:00:00.123 WARNING bm.requests: message`, with tracebacks on the same line."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        self._redact = redact
        self._second, self._text = -1, ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The time of the record, formatted once per second."""
        second = int(record.created)
        if second != self._second:
            self._second, self._text = second, super().formatTime(record, datefmt)
        return self._text

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, without secrets and control characters."""
        text = self._redact(super().format(record))
        if text.isprintable():
            return text.rstrip()
        text = " | ".join(stripped for line in text.splitlines() if (stripped := line.strip()))
        return text if text.isprintable() else "".join(each if each.isprintable() else "�" for each in text)


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A private rotating file."""

    def _open(self) -> TextIOWrapper:
        file = open_private(Path(self.baseFilename))
        self._size = file.tell()
        return TextIOWrapper(file, encoding="utf-8", errors="replace")

    def format(self, record: logging.LogRecord) -> str:
        """The formatted line; adds its length to the size of the file."""
        line = super().format(record)
        self._size += len(line) + 1
        return line

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Whether the file is full. The last line may exceed the limit: measuring it first would format it twice."""
        return self._size >= self.maxBytes


def set_up(path: Path, settings: Log, redact: Callable[[str], str], *, terminal: bool) -> None:
    """Log to `path`, and with `terminal` also to standard error.

    Raises:
        OSError: the file cannot be written.
    """
    handlers: list[logging.Handler] = [
        _PrivateFile(path, maxBytes=settings.max_mb * 1024 * 1024, backupCount=settings.files - 1)
    ]
    if terminal:
        handlers.append(logging.StreamHandler(sys.stderr))
    root = logging.getLogger()
    for handler in handlers:
        handler.setFormatter(LineFormatter(redact))
        root.addHandler(handler)
    root.setLevel(settings.level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)
    # Advised by the logging documentation: finding the caller of each record costs more than the rest of logging.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def tail(path: Path, count: int) -> list[str]:
    """The last `count` lines; empty if there is no file.

    Raises:
        OSError: the file cannot be read.
    """
    return _last(path, count)[0]


def _last(path: Path, count: int) -> tuple[list[str], int]:
    """The last `count` lines, and the position in the file where they end."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        end = at = file.seek(0, os.SEEK_END)
        content = b""
        while count and at > 0 and content.count(b"\n") <= count:
            step = min(at, _CHUNK)
            at -= step
            file.seek(at)
            content = file.read(step) + content
    return content.decode("utf-8", "replace").splitlines()[-count:] if count else [], end


def follow(path: Path, count: int = 0, wait: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Yield the last `count` lines, then every new line, across rotations, forever.

    The file need not exist yet. `wait` is called to pause between polls.
    """
    seen = stamp(path)
    lines, at = _last(path, count)
    yield from lines
    rest = b""
    while True:
        present = stamp(path)
        if present.inode != seen.inode or present.size < at:
            at, rest = 0, b""
        seen = present
        if present.size > at:
            with path.open("rb") as file:
                file.seek(at)
                content = file.read(_CHUNK)
            at += len(content)
            *whole, rest = (rest + content).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
        else:
            wait(_POLL)
