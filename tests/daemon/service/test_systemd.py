"""The systemd unit and calls of `systemctl`."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bm.daemon.service.manager import ServiceError, State, Unavailable
from bm.daemon.service.systemd import Systemd, become_main_process
from tests.daemon.service.support import GOLDEN, unit
from tests.support.managers import Tool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no systemd")


@pytest.mark.parametrize(("odd", "golden"), [(False, "plain.service"), (True, "odd.service")])
def test_the_unit(odd: bool, golden: str) -> None:
    written = Systemd().definition(unit(odd=odd))
    assert written.decode() == (GOLDEN / golden).read_text()
    assert Systemd().interpreter(written) == unit(odd=odd).interpreter


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize(
    "name", ["plain", "with space", "o'brien", "100%", "$HOME", 'say "yes"', "back\\slash", "a[b]*"]
)
def test_systemd_understands_it(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    shown = msgspec.structs.replace(unit(odd=True), interpreter=str(folder / "python"), folder=folder)
    file = tmp_path / f"{shown.name}.service"
    file.write_bytes(Systemd().definition(shown))
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    ran = subprocess.run(["systemd-analyze", "--user", "verify", file], env=environ, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("content", [b"", b"ExecStart=", b'ExecStart="open', b"ExecStart=/usr/bin/env", b"\xff"])
def test_a_unit_that_names_no_interpreter(content: bytes) -> None:
    assert Systemd().interpreter(content) == ""


def test_calls(systemctl: Tool) -> None:
    file = Systemd().file(unit())
    file.parent.mkdir(parents=True)
    file.write_bytes(Systemd().definition(unit()))
    Systemd().register(unit())
    Systemd().stop(unit())
    assert Systemd().forget(unit()) == [file]
    assert Systemd().forget(unit()) == []
    forgotten = [["--user", "daemon-reload"], ["--user", "reset-failed", "better-manager.service"]]
    assert systemctl.calls() == [
        ["--user", "daemon-reload"],
        ["--user", "enable", "better-manager.service"],
        ["--user", "stop", "better-manager.service"],
        *forgotten,
        *forgotten,
    ]


def test_a_start_resets_the_failure_count(systemctl: Tool) -> None:
    with pytest.raises(ServiceError, match=r"^systemctl --user start better-manager\.service: no such unit$"):
        systemctl.refuse("no such unit")
        Systemd().start(unit())
    assert [call[1] for call in systemctl.calls()] == ["reset-failed", "start"]


def test_the_link_of_an_enabled_unit_is_removed_with_it(systemctl: Tool) -> None:
    file = Systemd().file(unit())
    link = file.parent / "default.target.wants" / file.name
    link.parent.mkdir(parents=True)
    link.symlink_to(file)
    assert Systemd().forget(unit()) == [link]
    assert not link.is_symlink()


def test_state(systemctl: Tool) -> None:
    assert Systemd().state(unit()) == State(words="inactive (dead)", known=True, exit_code=0)
    (systemctl.folder / "code").write_text("2")
    assert Systemd().state(unit()) == State(words="failed", known=True, failed=True, exit_code=2)
    (systemctl.folder / "pid").write_text("7")
    running = State(words="active (running)", known=True, running=True, pid=7)
    assert Systemd().state(unit()) == running
    (systemctl.folder / "disabled").touch()
    assert Systemd().state(unit()) == msgspec.structs.replace(running, enabled=False)


def test_an_unknown_state(systemctl: Tool) -> None:
    systemctl.refuse("Access denied")
    assert Systemd().state(unit()) == State(words="Access denied")


def test_variables_of_the_service(systemctl: Tool, tmp_path: Path) -> None:
    here = msgspec.structs.replace(unit(), folder=tmp_path)
    here.variables.write_text("# A_COMMENT=1\nIN_THE_FILE=planted\n")
    asked = ("HELD_BY_THE_INSTANCE", "IN_THE_FILE", "A_COMMENT", "ELSEWHERE")
    assert Systemd().knows(here, asked) == {"HELD_BY_THE_INSTANCE", "IN_THE_FILE"}


@pytest.mark.parametrize(
    ("booted", "wsl", "remedy"),
    [
        (False, False, r"systemd is not running here: .*`bm start --foreground`"),
        (False, True, r"/etc/wsl\.conf"),
        (True, False, r"No medium found.*not with su or sudo.*loginctl enable-linger"),
    ],
)
def test_when_it_cannot_be_reached_the_error_says_what_to_do(
    systemctl: Tool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, booted: bool, wsl: bool, remedy: str
) -> None:
    systemctl.refuse("Failed to connect to bus: No medium found")
    monkeypatch.setattr("bm.daemon.service.systemd._BOOTED", tmp_path if booted else tmp_path / "none")
    monkeypatch.setattr("bm.daemon.service.systemd._is_wsl", lambda: wsl)
    with pytest.raises(Unavailable, match=remedy):
        Systemd().check()


def test_a_system_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="this system has no systemd"):
        Systemd().check()


def test_when_it_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOGNAME", "you")
    monkeypatch.setattr("bm.daemon.service.systemd._LINGER", tmp_path)
    assert "loginctl enable-linger you" in Systemd().when()
    (tmp_path / "you").touch()
    assert Systemd().when() == "when the machine starts"


def test_the_daemon_reports_itself_as_the_main_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become_main_process()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        become_main_process()
        assert manager.recv(100) == f"MAINPID={os.getpid()}".encode()
    become_main_process()
