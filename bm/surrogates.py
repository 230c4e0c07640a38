"""Halves of characters, which no JSON decoder takes: of surrogate pairs in escapes (RFC 8259, 8.2), and of UTF-8.

They come of texts that were cut at a fixed length, and of streams that cut an emoji between two events.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
"""An escaped backslash, a pair, or a half."""
_BEGIN = re.compile(rb"\\u[dD]")
_HALF = len(rb"\ud83d")
_REPLACEMENT = rb"\ufffd"
_BYTES_AT_END = re.compile(rb'(?:[\xc2-\xf4]|[\xe0-\xf4][\x80-\xbf]|[\xf0-\xf4][\x80-\xbf]{2})(?=")')
_BYTES_AT_START = re.compile(rb'(?<=")[\x80-\xbf]{1,3}')


def without_halves(data: bytes) -> bytes:
    """The JSON text with U+FFFD in place of every half of a character; the same object when it has none."""
    if not data.isascii():
        data = _in_utf8(data)
    if not _may_hold_halves(data):
        return data
    return _ESCAPE.sub(lambda found: found.group() if len(found.group()) != _HALF else _REPLACEMENT, data)


def _in_utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace").encode()
    return data


def _may_hold_halves(data: bytes) -> bool:
    # A search for one byte is many times as fast as one for three, and most data have no backslash.
    return b"\\" in data and _BEGIN.search(data) is not None


class HalfJoiner:
    """Joins the halves of a character that was cut between the ends of two strings of a stream; one joiner per stream.

    Any other half becomes U+FFFD.
    """

    def __init__(self) -> None:
        self._high = self._bytes = b""

    def feed(self, data: bytes) -> bytes:
        """The JSON text of one event: with the half that an earlier one ended with, and without its own at an end."""
        if not data.isascii():
            data = self._in_utf8(data)
        return _ESCAPE.sub(self._joined, data) if _may_hold_halves(data) else data

    def _in_utf8(self, data: bytes) -> bytes:
        try:
            data.decode()
        except UnicodeDecodeError:
            joined = _BYTES_AT_START.sub(self._with_bytes, data)
            cut = _BYTES_AT_END.sub(self._without_bytes, joined)
            return cut.decode("utf-8", "replace").encode()
        return data

    def _with_bytes(self, found: re.Match[bytes]) -> bytes:
        held, self._bytes = self._bytes, b""
        return held + found.group()

    def _without_bytes(self, found: re.Match[bytes]) -> bytes:
        self._bytes = found.group()
        return b""

    def _joined(self, found: re.Match[bytes]) -> bytes:
        text, data = found.group(), found.string
        if len(text) != _HALF:
            return text
        high, self._high = self._high, b""
        if text[3:4] in b"89abAB":
            if not data.startswith(b'"', found.end()):
                return _REPLACEMENT
            self._high = text
            return b""
        return high + text if high and data.startswith(b'"', found.start() - 1) else _REPLACEMENT
