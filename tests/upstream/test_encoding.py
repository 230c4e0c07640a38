"""Compressed bodies, in pieces of every size."""

from __future__ import annotations

import gzip
import zlib

import pytest

from bm.upstream.encoding import MAX_PIECE, Undecodable, decoder_for

TEXT = b"".join(b"line %d of a text that repeats itself\n" % number for number in range(300))


def gzipped(data: bytes) -> bytes:
    """Always the same bytes: without the time, which would also be in the names of the tests."""
    return gzip.compress(data, mtime=0)


def bare(data: bytes) -> bytes:
    """Deflate without zlib's header and checksum."""
    return zlib.compress(data)[2:-4]


def unpacked(encoding: str, packed: bytes, step: int) -> bytes:
    decoder = decoder_for(encoding)
    assert decoder is not None
    plain = b""
    for start in range(0, len(packed), step):
        plain += decoder.decode(packed[start : start + step])
        while decoder.pending:
            plain += decoder.decode(b"")
    decoder.finish()
    return plain


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("encoding", "packed", "plain"),
    [
        ("gzip", gzipped(TEXT), TEXT),
        ("x-gzip", gzipped(TEXT), TEXT),
        ("gzip", gzipped(TEXT) + gzipped(b"more"), TEXT + b"more"),
        ("gzip", gzipped(TEXT) + bytes(20), TEXT),
        ("gzip", gzipped(b""), b""),
        ("gzip", b"", b""),
        ("deflate", zlib.compress(TEXT), TEXT),
        ("deflate", zlib.compress(TEXT, 1), TEXT),
        ("deflate", bare(TEXT), TEXT),
        ("deflate", b"", b""),
    ],
)
def test_what_was_packed_is_unpacked(encoding: str, packed: bytes, plain: bytes, step: int) -> None:
    assert unpacked(encoding, packed, step) == plain


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzipped(TEXT)[:-1]),
        ("gzip", gzipped(TEXT)[:12]),
        ("gzip", gzipped(TEXT)[:-8] + bytes(8)),
        ("gzip", zlib.compress(TEXT)),
        ("gzip", b"plain text"),
        ("gzip", gzipped(TEXT) + gzipped(TEXT)[:9]),
        ("deflate", zlib.compress(TEXT)[:-1]),
        ("deflate", bare(TEXT)[:-1]),
        ("deflate", b"plain text"),
    ],
)
def test_what_is_cut_or_damaged_is_noticed(encoding: str, packed: bytes) -> None:
    with pytest.raises(Undecodable, match=encoding):
        unpacked(encoding, packed, 64)


def test_little_that_unpacks_to_much_comes_in_pieces() -> None:
    decoder = decoder_for("gzip")
    assert decoder is not None
    pieces = [decoder.decode(gzipped(bytes(5 * MAX_PIECE)))]
    while decoder.pending:
        pieces.append(decoder.decode(b""))
    decoder.finish()
    assert max(map(len, pieces)) == MAX_PIECE and sum(map(len, pieces)) == 5 * MAX_PIECE


@pytest.mark.parametrize("encoding", ["", "identity", "utf-8", "aws-chunked", "gzip, gzip"])
def test_what_is_no_known_compression_is_read_as_it_is(encoding: str) -> None:
    assert decoder_for(encoding) is None


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress"])
def test_a_compression_that_bm_does_not_know_is_named(encoding: str) -> None:
    with pytest.raises(Undecodable, match=encoding):
        decoder_for(encoding)
