"""daemon.log: one line per record, rotated by size, without secrets."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from bm.config.files import Stamp, open_private, stamp
from bm.config.schema import Log
from bm.config.secrets import Mask

_POLL = 0.2
_CHUNK = 64 * 1024
GATHER = 0.05
"""Seconds for which records are gathered, to be formatted, masked and written together."""
_MOST_WAITING = 1_000
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
        return self.lines([record])[0]

    def lines(self, records: Iterable[logging.LogRecord]) -> list[str]:
        """The records as lines. Secrets are looked for in all of them at once, which takes a fraction of the time."""
        texts = [super(LineFormatter, self).format(record) for record in records]
        redacted = self._redact("\n".join(texts)).split("\n")
        if len(redacted) == len(texts) and all(map(str.isprintable, redacted)):
            return [line.rstrip() for line in redacted]
        return [_as_line(self._redact(text)) for text in texts]


def _as_line(text: str) -> str:
    text = " | ".join(stripped for line in text.splitlines() if (stripped := line.strip()))
    return text if text.isprintable() else "".join(each if each.isprintable() else "�" for each in text)


class _Writer(logging.handlers.RotatingFileHandler):
    """Writes to a private rotating file, and to `terminal` if there is one, in a thread of its own.

    A record waits for `GATHER` seconds. A warning is written before its caller goes on, with all that waits: it may be
    about the end of the process.
    """

    def __init__(self, path: Path, settings: Log, lines: Callable[[Iterable[logging.LogRecord]], list[str]]) -> None:
        self._lines = lines
        self.terminal: TextIO | None = None
        self._waiting: deque[logging.LogRecord] = deque()
        self._writing = threading.RLock()
        self._arrived = threading.Event()
        super().__init__(path, maxBytes=settings.max_mb * 1024 * 1024, backupCount=settings.files - 1)
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def _open(self) -> TextIOWrapper:
        file = open_private(Path(self.baseFilename))
        self._size = file.tell()
        return TextIOWrapper(file, encoding="utf-8", errors="replace")

    def handle(self, record: logging.LogRecord) -> bool:
        """Hand a record over to the thread. Needs no lock."""
        self._waiting.append(record)
        if record.levelno >= logging.WARNING or len(self._waiting) >= _MOST_WAITING:
            self.flush()
        elif len(self._waiting) == 1:
            self._arrived.set()
        return True

    def _run(self) -> None:
        while True:
            self._arrived.wait()
            self._arrived.clear()
            time.sleep(GATHER)
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            records = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not records:
                return
            try:
                self._write(self._lines(records))
            except Exception:  # noqa: BLE001 - a full disk, for example; requests are served anyway
                self.handleError(records[-1])

    def _write(self, lines: list[str]) -> None:
        text = "\n".join([*lines, ""])
        if self.terminal is not None:
            self.terminal.write(text)
            self.terminal.flush()
        if self._size + len(text) < self.maxBytes:
            self._append(text)
            return
        for line in lines:
            # The last line of a file may exceed the limit.
            self._append(f"{line}\n")
            if self._size >= self.maxBytes:
                self.doRollover()

    def _append(self, text: str) -> None:
        if self.stream is None:  # closed at the end of the process, or by a rotation that failed
            self.stream = self._open()
        self.stream.write(text)
        self.stream.flush()
        self._size += len(text)


def set_up(path: Path, settings: Log, redact: Callable[[str], str], *, terminal: bool) -> None:
    """Log to `path`, and with `terminal` also to standard error.

    Raises:
        OSError: the file cannot be written.
    """
    writer = _Writer(path, settings, LineFormatter(redact).lines)
    writer.terminal = sys.stderr if terminal else None
    root = logging.getLogger()
    root.addHandler(writer)
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
