"""`bm top` and `bm dashboard`, with a terminal and without, and without a daemon."""

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
from pathlib import Path

import httpx
import pytest

from bm.cli.monitoring import REMEMBERED, Watch
from bm.config.paths import Paths
from bm.daemon.runtime import read
from tests.cli.conftest import Bm
from tests.cli.live import live, request
from tests.daemon.support import daemon
from tests.simulator.streams import ask
from tests.support.waiting import soon

if sys.platform != "win32":
    import fcntl
    import pty
    import struct
    import termios

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
PATIENCE = 30.0
"""Seconds to wait for what another process does on a busy machine."""
ENTER, LEAVE, CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"


def test_top_prints_the_json_of_the_admin_app(bm: Bm, http: httpx.Client) -> None:
    answered = ask(http, "anthropic")
    shown = bm("top", "--json").json
    assert shown.keys() == http.get("/admin/live").json().keys()
    assert [row["id"] for row in shown["requests"]] == [answered.headers["x-bm-request-id"]]


def test_top_prints_once_without_a_terminal(bm: Bm, http: httpx.Client) -> None:
    answered = ask(http, "openai-chat")
    ran = bm("top")
    assert ran.code == 0 and "\x1b" not in ran.out
    for words in ("bm at http://", "accounts usable", "first ", "second ", "groq ", "fallback", "openai-chat"):
        assert words in ran.out
    assert f"gemini/{answered.headers['x-bm-account']}" in ran.out


def test_top_shows_requests_of_earlier_runs(bm: Bm, http: httpx.Client) -> None:
    ask(http, "gemini", "gemini-3-flash-preview")
    bm("restart")
    assert bm("top", "--json").json["requests"] == []
    assert "gemini-3-flash-preview" in bm("top").out


def test_top_of_an_empty_daemon_says_what_to_do_next(bm: Bm) -> None:
    bm("start")
    out = bm("top").out
    assert "bm accounts add NAME" in out and "bm env" in out


def test_running_and_finished_requests_are_listed_newest_first(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that ends between two answers is listed once."""
    running = [request(9, model="running"), request(4, model="just ended")]
    answers = {
        "/admin/live?after=0": live(run=1.0, ended=5, requests=[], under_way=running),
        f"/admin/requests?limit={REMEMBERED}": {"requests": [request(4), request(3), request(2)]},
    }
    monkeypatch.setattr("bm.cli.admin.ask_daemon", lambda paths, daemon, method, path, **_: answers[path])
    watch = Watch(paths, daemon())
    watch.look()
    assert [row["id"] for row in watch.view.requests] == ["req_9", "req_4", "req_3", "req_2"]
    assert [row.get("under_way", False) for row in watch.view.requests] == [True, False, False, False]


@dataclass
class Terminal:
    """`bm top` in a pseudo-terminal."""

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
        """Change its size."""
        assert sys.platform != "win32"
        fcntl.ioctl(self.end, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextmanager
def terminal() -> Iterator[Terminal]:
    """A terminal of 30 lines with 120 columns; its settings must be restored at the end."""
    assert sys.platform != "win32"
    user, program = pty.openpty()
    before = termios.tcgetattr(program)
    environ = {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}
    command = [sys.executable, "-m", "bm", "top"]
    environ["TERM"] = "xterm"
    with subprocess.Popen(command, env=environ, stdin=program, stdout=program, stderr=program) as process:
        found = Terminal(process, user)
        found.resize(30, 120)
        try:
            yield found
            assert termios.tcgetattr(program) == before
        finally:
            process.kill()
    os.close(user)
    os.close(program)


@posix
@pytest.mark.parametrize("end", ["q", "ctrl-c", "term"])
def test_top_stays_on_a_terminal_until_it_is_quit(bm: Bm, http: httpx.Client, end: str) -> None:
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


@posix
def test_top_follows_the_terminals_size_and_a_restarted_daemon(bm: Bm, http: httpx.Client) -> None:
    with terminal() as top:
        top.until(b"last used")
        top.resize(12, 60)
        top.until(b"account")
        top.seen = b""
        top.until(b"q quits")
        assert bm("stop").code == 0
        top.resize(30, 120)
        top.until(b"bm has stopped responding")
        assert bm("start").code == 0
        top.until(b"last used")
        top.seen = b""
        top.until(b"up ")
        os.write(top.end, b"q")
        top.until(LEAVE)
        assert top.process.wait(PATIENCE) == 0


def test_the_printed_address_signs_in_once(bm: Bm, paths: Paths) -> None:
    bm("start")
    ran = bm("dashboard", "--no-browser")
    assert ran.code == 0 and "once" in ran.err
    address, _, code = ran.out.strip().partition("/#code=")
    running = read(paths.runtime)
    assert running is not None and address == running.url
    with httpx.Client(base_url=address, trust_env=False, timeout=20) as http:
        assert http.post("/admin/session", json={"code": code}).status_code == 200
        assert http.post("/admin/session", json={"code": code}).status_code == 401


def test_every_address_has_a_new_code(bm: Bm) -> None:
    bm("start")
    assert bm("dashboard", "--no-browser").out != bm("dashboard", "--no-browser").out


def test_without_authentication_there_is_no_code(bm: Bm, paths: Paths) -> None:
    paths.config.write_text('[server]\nauth = "none"\n')
    bm("start")
    ran = bm("dashboard", "--no-browser")
    running = read(paths.runtime)
    assert running is not None and (ran.out, ran.err) == (f"{running.url}/\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="BROWSER is for the others")
def test_only_the_browser_gets_the_address_with_the_code(bm: Bm, tmp_path: Path) -> None:
    bm("start")
    script, given = tmp_path / "browser", tmp_path / "given"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {given}.part && mv {given}.part {given}\nsleep 1\n')
    script.chmod(0o700)
    environ = {**os.environ, "BROWSER": f"{script} %s &"}
    ran = subprocess.run([sys.executable, "-m", "bm", "dashboard"], env=environ, capture_output=True, text=True)
    assert soon(given.exists, PATIENCE)
    assert ran.returncode == 0 and ran.stderr == ""
    address, _, code = given.read_text().partition("#code=")
    assert ran.stdout == f"the dashboard is open at {address}\n" and code not in ran.stdout


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these always have a desktop")
def test_without_a_desktop_the_address_is_printed(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    bm("start")
    assert "/#code=" in bm("dashboard").out


@pytest.mark.parametrize("words", [("top",), ("top", "--json"), ("dashboard",)])
def test_without_a_daemon_it_says_how_to_start_one(bm: Bm, words: tuple[str, ...]) -> None:
    ran = bm(*words)
    assert (ran.code, ran.out) == (3, "") and "bm start" in ran.err


@posix
def test_top_explains_a_request_and_changes_a_mode(bm: Bm, http: httpx.Client) -> None:
    ask(http, "anthropic")
    with terminal() as top:
        top.until(b"q: quit")
        os.write(top.end, b"\x1b[B\r")
        top.until(b"esc: back")
        os.write(top.end, b"qm")
        top.until(b"space: next mode")
        os.write(top.end, b" ")
        top.until(b"groq is now off")
        os.write(top.end, b"qq")
        assert top.process.wait(PATIENCE) == 0
