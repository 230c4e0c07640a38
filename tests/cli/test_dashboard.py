"""`bm dashboard`: a browser that is signed in, or the address that signs one in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bm.config.paths import Paths
from bm.daemon.runtime import read
from tests.cli.conftest import Bm
from tests.server.test_ledger import until


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


def test_each_time_another_code(bm: Bm) -> None:
    bm("start")
    assert bm("dashboard", "--no-browser").out != bm("dashboard", "--no-browser").out


def test_without_a_key_to_ask_for_there_is_no_code(bm: Bm, paths: Paths) -> None:
    paths.config.write_text('[server]\nauth = "none"\n')
    bm("start")
    ran = bm("dashboard", "--no-browser")
    running = read(paths.runtime)
    assert running is not None and (ran.out, ran.err) == (f"{running.url}/\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="BROWSER is for the others")
def test_the_browser_is_given_the_address_and_the_terminal_is_not(bm: Bm, tmp_path: Path) -> None:
    bm("start")
    script, given = tmp_path / "browser", tmp_path / "given"
    script.write_text(f'#!/bin/sh\nprintf %s "$1" > {given}.part && mv {given}.part {given}\n')
    script.chmod(0o700)
    environ = {**os.environ, "BROWSER": f"{script} %s &"}
    ran = subprocess.run([sys.executable, "-m", "bm", "dashboard"], env=environ, capture_output=True, text=True)
    until(given.exists)
    assert ran.returncode == 0 and ran.stderr == ""
    address, _, code = given.read_text().partition("#code=")
    assert ran.stdout == f"the dashboard is open at {address}\n" and code not in ran.stdout


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="these always have a desktop")
def test_without_a_desktop_the_address_is_printed(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)
    bm("start")
    assert "/#code=" in bm("dashboard").out


def test_without_a_daemon_it_says_how_to_start_one(bm: Bm) -> None:
    ran = bm("dashboard")
    assert (ran.code, ran.out) == (3, "") and "bm start" in ran.err
