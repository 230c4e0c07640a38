"""HTTP/1.1 as bytes: the head of a request, and the responses of a connection.

llhttp reads the responses. What could mean two things is refused: two lengths, a length beside chunks, a chunk size
that is not a number. What can only mean one thing is accepted: lines that end in a line feed alone, a header that
continues on the next line, a space after a chunk size. Nothing here does I/O.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import httptools

from bm.upstream.headers import Headers

MAX_HEAD_BYTES: Final = 256 * 1024
"""Bytes of a response without any of its body: its head with all interim ones, its trailers. curl takes 300 kB."""

MAX_FIELDS: Final = 256
"""Headers of a response."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN: Final = frozenset({"connection", "content-length", "transfer-encoding", "upgrade"})
"""They describe the connection and the body's framing, which are the client's own."""
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


class Malformed(Exception):
    """A response that is not HTTP, or that exceeds a limit. The text says what is wrong."""


class CutOff(Exception):
    """The connection ended before the response did."""


def request_head(method: str, target: str, host: str, headers: Iterable[tuple[str, str]], length: int) -> bytes:
    """The head of a request with a body of `length` bytes. A `host` among the headers takes precedence.

    Raises:
        ValueError: a name or a value would be read as something else.
    """
    lines, has_host = [], False
    for name, value in headers:
        if name in _OWN:
            continue
        if not _is_token(name):
            raise ValueError(f"{name!r} is not the name of a header")
        has_host = has_host or name == "host"
        lines.append(f"{name}: {value}\r\n")
    if not has_host:
        lines.insert(0, f"host: {host}\r\n")
    if length or method in _WITH_BODY:
        lines.append(f"content-length: {length}\r\n")
    text = f"{method} {target} HTTP/1.1\r\n{''.join(lines)}\r\n"
    ends = len(lines) + 2
    if text.count("\n") != ends or text.count("\r") != ends or "\x00" in text or not _is_token(method):
        raise ValueError(_fault(lines))
    return text.encode()


@lru_cache(maxsize=1024)
def _is_token(name: str) -> bool:
    return _TOKEN.fullmatch(name) is not None


def _fault(lines: list[str]) -> str:
    for line in lines:
        if any(character in line[:-2] for character in "\r\n\x00"):
            return f"the header {line.partition(':')[0]} contains a line break or a null"
    return "the request line contains a line break or a null"


class ResponseReader:
    """Reads the responses of one connection, one after another; `begin` before each request.

    `answered` is true once a byte has arrived, `headed` once status and headers are known, `complete` once the whole
    response has arrived. `size` is the number of bytes to `take`. `reusable` tells of a complete response whether the
    connection can serve another request.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._pieces: list[bytes] = []
        self.begin()

    def begin(self) -> None:
        """Expect a response."""
        self.status = 0
        self.headers: Headers = []
        self.encoding = ""
        self.answered = self.headed = self.complete = self.reusable = False
        self._pieces.clear()
        self.size = self._without_body = 0
        self._framing = ""

    def feed(self, data: bytes) -> None:
        """Read what has arrived.

        Raises:
            Malformed: it is not HTTP, or too long.
        """
        self.answered = True
        size = self.size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.reusable = False
            if not self.complete:
                raise Malformed(str(error.__context__ or error)) from error
        except httptools.HttpParserUpgrade:
            self.reusable = False
        if self.size != size:
            self._without_body = 0
            return
        self._without_body += len(data)
        if self._without_body > MAX_HEAD_BYTES and not self.complete:
            raise Malformed(f"more than {MAX_HEAD_BYTES // 1024} KiB of headers")

    def end(self) -> None:
        """The server has closed the connection.

        Raises:
            CutOff: that is not the end of the response.
        """
        if self.headed and not self._framing:
            self.complete = True
        if not self.complete:
            raise CutOff
        self.reusable = False

    def take(self) -> bytes:
        """The bytes of the body that have arrived, once."""
        pieces = self._pieces
        if not pieces:
            return b""
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.size = 0
        return data

    def close(self) -> None:
        """Nothing more will be fed. The parser is dropped, since it refers back."""
        del self._parser

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            raise Malformed("it sends a response that nothing was asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.headed:
            return  # a trailer
        if len(self.headers) >= MAX_FIELDS:
            raise Malformed(f"more than {MAX_FIELDS} headers")
        field, text = _field_name(name), value.decode("utf-8", "surrogateescape").strip(" \t")
        if "\x00" in text:
            raise Malformed(f"a null in {field}")
        self.headers.append((field, text))
        if field == "content-length":
            self._framing = "length"
        elif field == "transfer-encoding":
            self._framing = self._coding(text.lower())
        elif field == "content-encoding":
            self.encoding = text.lower()

    def _coding(self, coding: str) -> str:
        if self._framing:
            raise Malformed("it frames its body twice")
        if coding not in ("chunked", "identity"):
            raise Malformed(f"a transfer-encoding that nothing asked for: {coding}")
        return coding if coding == "chunked" else ""

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 101:
            raise Malformed("it switches to a protocol that nothing asked for")
        if status < 200:
            self.headers, self._framing, self.encoding = [], "", ""
            return
        self.status, self.headed = status, True

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self.size += len(data)

    def on_message_complete(self) -> None:
        if self.headed:
            self.complete = True
            self.reusable = self._parser.should_keep_alive()


@lru_cache(maxsize=1024)
def _field_name(name: bytes) -> str:
    """The name of a header in lower case. llhttp lets a space before the colon pass."""
    text = name.decode("latin-1").lower()
    if not _is_token(text):
        raise Malformed(f"{text!r} is not the name of a header")
    return text
