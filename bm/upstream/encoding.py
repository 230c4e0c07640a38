"""Bodies that a server compressed although bm asked for none: gzip and deflate."""

from __future__ import annotations

import zlib
from typing import Final

MAX_PIECE: Final = 256 * 1024
"""Bytes that come out of one step. A few kilobytes can unpack to gigabytes."""

_UNKNOWN: Final = frozenset({"br", "zstd", "compress", "x-compress"})
_KNOWN: Final = frozenset({"gzip", "x-gzip", "deflate"})


class Undecodable(Exception):
    """The body is not what its encoding promises, or bm does not know the encoding."""


def decoder_for(encoding: str) -> Decoder | None:
    """The decoder for a `content-encoding`; None for bodies that are to be read as they are.

    Raises:
        Undecodable: it is a compression that bm does not know.
    """
    if encoding in _UNKNOWN:
        raise Undecodable(f"it is compressed by {encoding}, which bm did not ask for")
    return Decoder(encoding) if encoding in _KNOWN else None


class Decoder:
    """Unpacks one body, piece by piece. `pending` means that more comes out without further input."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._unpacker: zlib._Decompress | None = None
        self._rest = b""
        self.pending = False

    def decode(self, data: bytes) -> bytes:
        """Unpack at most `MAX_PIECE` bytes of what there is; possibly nothing.

        Raises:
            Undecodable: it is not packed as promised.
        """
        data = self._rest + data if self._rest else data
        if self._unpacker is not None and self._unpacker.eof:
            data = data.lstrip(b"\x00")  # some pad with zeros
        if not data and not self.pending:
            return b""
        if self._unpacker is None or self._unpacker.eof:
            # A gzip file may be several, one after another (RFC 1952, section 2.2).
            self._unpacker = zlib.decompressobj(self._window(data[0]))
        try:
            plain = self._unpacker.decompress(data, MAX_PIECE)
        except zlib.error as error:
            raise Undecodable(f"it is not {self._encoding}: {error}") from error
        self._rest = self._unpacker.unused_data or self._unpacker.unconsumed_tail
        if self._unpacker.eof:
            self._rest = self._rest.lstrip(b"\x00")
        self.pending = bool(self._rest) or (len(plain) == MAX_PIECE and not self._unpacker.eof)
        return plain

    def _window(self, first: int) -> int:
        if self._encoding != "deflate":
            return 16 + zlib.MAX_WBITS
        # Some send the bare stream without zlib's header, whose first byte ends in 8 (RFC 1950, section 2.2).
        return zlib.MAX_WBITS if first & 0xF == 8 else -zlib.MAX_WBITS

    def finish(self) -> None:
        """The body has ended.

        Raises:
            Undecodable: what was packed has not.
        """
        if self._unpacker is not None and not self._unpacker.eof:
            raise Undecodable(f"its {self._encoding} ends too early")
