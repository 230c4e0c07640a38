"""HTTP/1.1 as bytes: what is written, and what may be read in which pieces."""

from __future__ import annotations

import pytest

from bm.upstream.headers import Headers
from bm.upstream.wire import MAX_FIELDS, MAX_HEAD_BYTES, CutOff, Malformed, ResponseReader, request_head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, closes: bool = False) -> ResponseReader:
    reader = ResponseReader()
    for piece in pieces:
        reader.feed(piece)
    if closes:
        reader.end()
    return reader


WHOLE = {
    "a length": (OK + b"Content-Length: 3\r\n\r\nabc", 200, b"abc", True),
    "a length with spaces": (OK + b"Content-Length: \t 3 \r\n\r\nabc", 200, b"abc", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 with the length of what it does not send": (b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n", 304, b"", True),
    "chunks": (CHUNKED + b"2\r\nab\r\nA\r\ncdefghijkl\r\n0\r\n\r\n", 200, b"abcdefghijkl", True),
    "a chunk size with zeros": (CHUNKED + b"0003\r\nabc\r\n000\r\n\r\n", 200, b"abc", True),
    "a space after a chunk size": (CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 200, b"abc", True),
    "chunk extensions": (CHUNKED + b'3;a=b;c="d;e"\r\nabc\r\n0;f\r\n\r\n', 200, b"abc", True),
    "trailers": (CHUNKED + b"3\r\nabc\r\n0\r\nX-T: 1\r\nHost: a\r\n\r\n", 200, b"abc", True),
    "chunked in capitals": (OK + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, b"a", True),
    "an interim response": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", 200, b"a", True),
    "early hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 3 + OK + b"Content-Length: 1\r\n\r\na",
        200,
        b"a",
        True,
    ),
    "connection: close": (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\na", 200, b"a", False),
    "close in a list": (OK + b"Connection: x, Close\r\nContent-Length: 1\r\n\r\na", 200, b"a", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 200, b"a", False),
    "HTTP/1.0 that stays": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
        200,
        b"a",
        True,
    ),
    "no reason": (b"HTTP/1.1 429\r\nContent-Length: 0\r\n\r\n", 429, b"", True),
    "an unknown status": (b"HTTP/1.1 799 Whatever\r\nContent-Length: 0\r\n\r\n", 799, b"", True),
    "line feeds alone": (b"HTTP/1.1 200 OK\nContent-Length: 1\n\na", 200, b"a", True),
    "a header over several lines": (OK + b"X-A: 1\r\n 2\r\n\t3\r\nContent-Length: 1\r\n\r\na", 200, b"a", True),
    "an offer to upgrade": (OK + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\na", 200, b"a", True),
    "empty lines ahead": (b"\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na", 200, b"a", True),
    "a second response": (OK + b"Content-Length: 1\r\n\r\na" + OK + b"X: y\r\n\r\n", 200, b"a", False),
    "more than its length": (OK + b"Content-Length: 1\r\n\r\nabc", 200, b"a", False),
    "more than its last chunk": (CHUNKED + b"1\r\na\r\n0\r\n\r\nabc", 200, b"a", False),
    "a body where none may be": (b"HTTP/1.1 204 X\r\nContent-Length: 3\r\n\r\nabc", 204, b"", False),
}


@pytest.mark.parametrize(("data", "status", "body", "reusable"), WHOLE.values(), ids=WHOLE.keys())
def test_a_response_is_the_same_however_it_is_split(data: bytes, status: int, body: bytes, reusable: bool) -> None:
    whole = read(data)
    assert (whole.complete, whole.status, whole.take(), whole.reusable) == (True, status, body, reusable)
    ends = [read(data[:at], data[at:]) for at in range(1, len(data))]
    ends.append(read(*(data[at : at + 1] for at in range(len(data)))))
    found = {(each.complete, each.status, each.take(), each.reusable, tuple(each.headers)) for each in ends}
    assert found == {(True, status, body, reusable, tuple(whole.headers))}


UNTIL_CLOSE = {
    "neither length nor chunks": OK + b"\r\nabc",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nabc",
    "identity": OK + b"Transfer-Encoding: identity\r\n\r\nabc",
}


@pytest.mark.parametrize("data", UNTIL_CLOSE.values(), ids=UNTIL_CLOSE.keys())
def test_a_body_without_a_length_ends_with_the_connection(data: bytes) -> None:
    for at in range(1, len(data)):
        reader = read(data[:at], data[at:])
        assert not reader.complete
        reader.end()
        assert (reader.complete, reader.take(), reader.reusable) == (True, b"abc", False)


CUT = {
    "nothing": b"",
    "in the status line": b"HTTP/1.1 20",
    "in the head": OK + b"Content-Length: 3\r\n",
    "after an interim response": b"HTTP/1.1 100 Continue\r\n\r\n",
    "ahead of the body": OK + b"Content-Length: 3\r\n\r\n",
    "in the body": OK + b"Content-Length: 3\r\n\r\nab",
    "in a chunk": CHUNKED + b"3\r\nab",
    "after a chunk": CHUNKED + b"3\r\nabc\r\n",
    "in the last chunk": CHUNKED + b"3\r\nabc\r\n0\r\n",
    "in the trailers": CHUNKED + b"3\r\nabc\r\n0\r\nX-T: 1\r\n",
}


@pytest.mark.parametrize("data", CUT.values(), ids=CUT.keys())
def test_a_response_that_is_cut_is_not_complete(data: bytes) -> None:
    reader = read(data) if data else ResponseReader()
    assert not reader.complete
    with pytest.raises(CutOff):
        reader.end()
    assert not reader.complete


REFUSED = {
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x50",
    "HTTP/0.9": b"<html>hello</html>",
    "no version": b"HTTP 200 OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 99 X\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 X\r\n\r\n",
    "a negative status": b"HTTP/1.1 -200 X\r\n\r\n",
    "another protocol after it": b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": OK + b"Content-Length: 3, 3\r\n\r\nabc",
    "a length and chunks": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "a length over two lines": OK + b"Content-Length: 1\r\n 2\r\n\r\nab",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": OK + b"Content-Length: +1\r\n\r\na",
    "a length in hexadecimal": OK + b"Content-Length: 0x1\r\n\r\na",
    "a length with an underscore": OK + b"Content-Length: 1_0\r\n\r\nabcdefghij",
    "no number for a length": OK + b"Content-Length: \r\n\r\n",
    "a length that overflows": OK + b"Content-Length: 18446744073709551617\r\n\r\n",
    "a length among the trailers": CHUNKED + b"0\r\nContent-Length: 9\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding within chunks": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks within a coding": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "nearly chunked": OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked in quotes": OK + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "a chunk size that is no number": CHUNKED + b"xyz\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a space ahead of a chunk size": CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n",
    "a chunk size that overflows": CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a line feed alone in chunks": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a line feed in a chunk extension": CHUNKED + b"3;a=\nb\r\nabc\r\n0\r\n\r\n",
    "a header without a colon": OK + b"Nonsense\r\n\r\n",
    "a header without a name": OK + b": x\r\n\r\n",
    "a space ahead of the colon": OK + b"X-A : 1\r\nContent-Length: 0\r\n\r\n",
    "a length with a space ahead of the colon": OK + b"Content-Length : 1\r\n\r\na",
    "a null in a header": OK + b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "a null in a name": OK + b"X\x00A: b\r\nContent-Length: 0\r\n\r\n",
    "a carriage return alone": OK + b"X-A: a\rb\r\nContent-Length: 0\r\n\r\n",
    "too many headers": OK + b"".join(b"x-%d: y\r\n" % n for n in range(MAX_FIELDS + 1)) + b"\r\n",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_could_be_read_in_two_ways_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data)
    with pytest.raises(Malformed):
        read(*(data[at : at + 1] for at in range(len(data))))


ENDLESS = {
    "a status line": (b"HTTP/1.1 200 ", b"x"),
    "a header": (OK + b"x: ", b"y"),
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a chunk extension": (CHUNKED + b"3;", b"a"),
    "a trailer": (CHUNKED + b"0\r\nx: ", b"y"),
    "trailers": (CHUNKED + b"0\r\n", b"x: y\r\n"),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS.keys())
def test_what_never_comes_to_a_body_is_refused(start: bytes, more: bytes) -> None:
    reader = read(start) if start else ResponseReader()
    with pytest.raises(Malformed, match="KiB of headers"):
        for _ in range(2 * MAX_HEAD_BYTES // 1024):
            reader.feed(more * (1024 // len(more)))


def test_names_are_in_lower_case_and_values_without_the_spaces_around_them() -> None:
    reader = read(
        OK + b"X-Mixed:\t one  two \r\nx-mixed: caf\xc3\xa9\r\nEmpty:\r\nRaw: \xff\r\nContent-Length: 0\r\n\r\n"
    )
    fields = [("x-mixed", "one  two"), ("x-mixed", "café"), ("empty", ""), ("raw", "\udcff"), ("content-length", "0")]
    assert reader.headers == fields


def test_neither_trailers_nor_interim_headers_are_headers() -> None:
    early = b"HTTP/1.1 103 X\r\nEarly: 1\r\nContent-Encoding: gzip\r\n\r\n"
    reader = read(early + CHUNKED + b"0\r\nLate: 1\r\n\r\n")
    assert (reader.headers, reader.encoding) == ([("transfer-encoding", "chunked")], "")


def test_one_connection_has_many_responses() -> None:
    reader = ResponseReader()
    for number in range(3):
        reader.begin()
        assert not reader.answered and not reader.headed and reader.headers == []
        reader.feed(CHUNKED + b"1\r\n%d\r\n0\r\n\r\n" % number)
        assert (reader.take(), reader.complete, reader.reusable) == (b"%d" % number, True, True)


HEADERS: Headers = [("x-api-key", "key"), ("accept", "*/*")]


@pytest.mark.parametrize(
    ("method", "headers", "length", "head"),
    [
        ("GET", [], 0, "GET /v1 HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        (
            "POST",
            HEADERS,
            7,
            "POST /v1 HTTP/1.1\r\nhost: a.example\r\nx-api-key: key\r\naccept: */*\r\ncontent-length: 7\r\n\r\n",
        ),
        ("POST", [], 0, "POST /v1 HTTP/1.1\r\nhost: a.example\r\ncontent-length: 0\r\n\r\n"),
        ("DELETE", [], 0, "DELETE /v1 HTTP/1.1\r\nhost: a.example\r\n\r\n"),
        ("GET", [("host", "b.example")], 0, "GET /v1 HTTP/1.1\r\nhost: b.example\r\n\r\n"),
        (
            "POST",
            [("content-length", "1"), ("transfer-encoding", "chunked"), ("connection", "close"), ("upgrade", "x")],
            2,
            "POST /v1 HTTP/1.1\r\nhost: a.example\r\ncontent-length: 2\r\n\r\n",
        ),
        ("GET", [("x-title", "café"), ("empty", "")], 0, None),
    ],
)
def test_the_head_of_a_request(method: str, headers: Headers, length: int, head: str | None) -> None:
    expected = head or "GET /v1 HTTP/1.1\r\nhost: a.example\r\nx-title: café\r\nempty: \r\n\r\n"
    assert request_head(method, "/v1", "a.example", headers, length) == expected.encode()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("x", "a\r\nb: c", "header x"),
        ("x", "a\nb: c", "header x"),
        ("x", "a\rb", "header x"),
        ("x", "a\r\n b", "header x"),
        ("x", "a\x00b", "header x"),
        ("x\r\ny", "a", "not the name"),
        ("x: y", "a", "not the name"),
        ("x y", "a", "not the name"),
        ("é", "a", "not the name"),
        ("", "a", "not the name"),
    ],
)
def test_a_header_cannot_carry_another(name: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        request_head("POST", "/v1", "a.example", [("accept", "*/*"), (name, value)], 0)


@pytest.mark.parametrize(
    ("method", "target", "host"),
    [("GET /x", "/", "a"), ("GET", "/\r\nx: y", "a"), ("GET", "/", "a\nx: y"), ("", "/", "a"), ("GET", "/\x00", "a")],
)
def test_a_request_line_is_one_line(method: str, target: str, host: str) -> None:
    with pytest.raises(ValueError):
        request_head(method, target, host, [], 0)
