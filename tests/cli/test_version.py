"""`bm version --check` asks the package index once; nothing else does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bm import __version__
from bm.cli.version import newest_of
from tests.cli.conftest import Bm


class Index:
    """A package index on this machine that answers as a test wants."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, b"", list[str]()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.asked.append(f"{self.path} {self.headers['accept']}")
                self.send_response(index.status)
                self.send_header("content-length", str(len(index.body)))
                self.end_headers()
                self.wfile.write(index.body)

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def lists(self, *versions: str) -> None:
        self.body = json.dumps({"name": "better-manager", "versions": versions}).encode()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    index = Index()
    thread = threading.Thread(target=index.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:secret@127.0.0.1:{index.server.server_port}/simple/")
    yield index
    index.server.shutdown()
    index.server.server_close()
    thread.join()


def test_without_check_nothing_is_sent(bm: Bm, index: Index) -> None:
    assert bm("version").out == f"bm {__version__}\n"
    assert index.asked == []


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (("0.0.1", "999.1", "999.0"), "999.1 is available: pipx upgrade better-manager"),
        (("0.0.1", __version__, "999.0rc1"), "this is the newest version"),
        ((), "the index has no release of better-manager"),
    ],
)
def test_the_newest_final_version(bm: Bm, index: Index, versions: tuple[str, ...], said: str) -> None:
    index.lists(*versions)
    ran = bm("version", "--check")
    assert (ran.code, index.asked) == (0, ["/simple/better-manager/ application/vnd.pypi.simple.v1+json"])
    assert said in ran.out


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"", "has no release"),
        (503, b"", "answers with status 503"),
        (200, b"<html>", "does not list versions"),
        (200, b"[]", "does not list versions"),
    ],
)
def test_other_answers(bm: Bm, index: Index, status: int, body: bytes, said: str) -> None:
    index.status, index.body = status, body
    ran = bm("version", "--check")
    assert said in ran.out + ran.err and ran.code == (0 if status == 404 else 1)
    assert "secret" not in ran.out + ran.err


def test_no_network(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    ran = bm("version", "--check")
    assert ran.code == 1 and "127.0.0.1" in ran.err


def test_versions_are_compared_by_number() -> None:
    assert newest_of(["0.9.0", "0.10.0", "0.10.0.dev1", "1.0b2"]) == "0.10.0"
