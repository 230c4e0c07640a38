"""`bm top` on a terminal, without one, and without a daemon."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.cli.conftest import Bm
from tests.simulator.streams import ask

if sys.platform == "win32":
    pytest.skip("a matter of POSIX terminals", allow_module_level=True)

import fcntl
import pty
import struct
import termios

PATIENCE = 30.0
"""Seconds to wait for what another process does on a busy machine."""
ENTER, LEAVE, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


def test_json_is_what_the_administration_answers(bm: Bm, http: httpx.Client) -> None:
    answered = ask(http, "anthropic")
    told = bm("top", "--json").json
    assert told.keys() == http.get("/admin/live").json().keys()
    assert [row["id"] for row in told["requests"]] == [answered.headers["x-bm-request-id"]]


def test_without_a_terminal_it_is_told_once(bm: Bm, http: httpx.Client) -> None:
    answered = ask(http, "openai-chat")
    ran = bm("top")
    assert ran.code == 0 and "\x1b" not in ran.out
    for words in ("bm at http://", "accounts usable", "first ", "second ", "groq ", "fallback", "openai-chat"):
        assert words in ran.out
    assert f"gemini/{answered.headers['x-bm-account']}" in ran.out


def test_requests_of_earlier_runs_are_there(bm: Bm, http: httpx.Client) -> None:
    ask(http, "gemini", "gemini-3-flash-preview")
    bm("restart")
    assert bm("top", "--json").json["requests"] == []
    assert "gemini-3-flash-preview" in bm("top").out


def test_an_empty_daemon_says_what_to_do_next(bm: Bm) -> None:
    bm("start")
    out = bm("top").out
    assert "bm accounts add NAME" in out and "bm env" in out


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_a_daemon_it_says_how_to_start_one(bm: Bm, words: tuple[str, ...]) -> None:
    ran = bm("top", *words)
    assert (ran.code, ran.out) == (3, "") and "bm start" in ran.err


@dataclass
class Terminal:
    """`bm top` in a terminal of its own."""

    process: subprocess.Popen[bytes]
    end: int
    seen: bytes = b""

    def until(self, words: bytes) -> None:
        """Read until these were written since the last time."""
        limit = time.monotonic() + PATIENCE
        while words not in self.seen:
            assert time.monotonic() < limit, self.seen
            if select.select([self.end], [], [], 0.1)[0]:
                self.seen += os.read(self.end, 65_536)
        self.seen = self.seen.partition(words)[2]

    def resize(self, rows: int, columns: int) -> None:
        """Give it another size."""
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def terminal() -> Iterator[Terminal]:
    """A terminal of 30 lines with 120 columns; afterwards it must be as it was before."""
    person, program = pty.openpty()
    before = termios.tcgetattr(program)
    environ = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
    command = [sys.executable, "-m", "bm", "top"]
    environ["TERM"] = "xterm"
    with subprocess.Popen(command, env=environ, stdin=program, stdout=program, stderr=program) as process:
        found = Terminal(process, person)
        found.resize(30, 120)
        try:
            yield found
            assert termios.tcgetattr(program) == before
        finally:
            process.kill()
    os.close(person)
    os.close(program)


@pytest.mark.parametrize("end", ["q", "ctrl-c", "term"])
def test_on_a_terminal_it_stays_until_it_is_left(bm: Bm, http: httpx.Client, end: str) -> None:
    with terminal() as top:
        top.until(ENTER)
        top.until(b"q quits")
        ask(http, "anthropic")
        top.until(b"anthropic")
        match end:
            case "q":
                os.write(top.end, b"q")
            case "ctrl-c":
                top.process.send_signal(signal.SIGINT)
            case _:
                top.process.terminate()
        top.until(CURSOR)
        top.until(LEAVE)
        assert top.process.wait(PATIENCE) == (143 if end == "term" else 0)


def test_it_follows_the_size_of_the_terminal_and_a_daemon_that_goes_and_comes(bm: Bm, http: httpx.Client) -> None:
    with terminal() as top:
        top.until(b"last used")
        top.resize(12, 60)
        top.until(b"account")
        top.seen = b""
        top.until(b"q quits")
        assert bm("stop").code == 0
        top.resize(30, 120)
        top.until(b"bm does not answer any more")
        assert bm("start").code == 0
        top.until(b"last used")
        top.seen = b""
        top.until(b"up ")
        os.write(top.end, b"q")
        top.until(LEAVE)
        assert top.process.wait(PATIENCE) == 0
