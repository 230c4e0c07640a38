"""Stand-ins for the tools of service managers, which a test machine rarely has: they record how they are called."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SYSTEMCTL = """
import json, os, pathlib, shlex, signal, socket, subprocess, sys, time

home = pathlib.Path(__file__).parent

def calls(words):
    with (home / "calls").open("a") as file:
        file.write(json.dumps(words) + "\\n")

def run(unit, setting, **more):
    lines = (pathlib.Path.home() / ".config/systemd/user" / unit).read_text().replace("%%", "%").splitlines()
    given = [line.partition("=")[2] for line in lines if line.startswith("Environment=")]
    environ = dict(shlex.split(each)[0].split("=", 1) for each in given)
    environ |= {name: os.environ[name] for name in os.environ if name.startswith(("PYTEST", "BM_SERVER"))} | more
    command = next(line.partition("=")[2] for line in lines if line.startswith(setting + "="))
    return subprocess.Popen(shlex.split(command), env=environ, stderr=subprocess.DEVNULL)

def keep(unit):
    # The supervising process: it outlives this call, reaps the daemon and keeps its exit code.
    child = run(unit, "ExecStart")
    (home / "pid").write_text(str(child.pid))
    code = child.wait()
    if pid() != child.pid:
        # Another process has become the main one by now.
        code = 0
        while alive(pid()):
            time.sleep(0.01)
    (home / "pid").unlink()
    (home / "code").write_text(str(code))

def alive(number):
    try:
        os.kill(number, 0)
    except OSError:
        return False
    return True

def reload(unit):
    # The command may report another main process before it ends.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind("")
        notified.settimeout(0)
        code = run(unit, "ExecReload", NOTIFY_SOCKET="@" + notified.getsockname()[1:].decode()).wait()
        try:
            (home / "pid").write_text(notified.recv(100).decode().removeprefix("MAINPID="))
        except BlockingIOError:
            pass
    return code

def pid():
    try:
        return int((home / "pid").read_text())
    except (OSError, ValueError):
        return 0

def show():
    code = int((home / "code").read_text()) if (home / "code").exists() else 0
    active = "active" if pid() else "failed" if code else "inactive"
    sub = "running" if pid() else "failed" if code else "dead"
    enabled = "disabled" if (home / "disabled").exists() else "enabled"
    print(f"LoadState=loaded\\nUnitFileState={enabled}\\nActiveState={active}\\nSubState={sub}\\nMainPID={pid()}\\nExecMainStatus={code}")

if sys.argv[1] == "keep":
    keep(sys.argv[2])
    sys.exit()
calls(sys.argv[1:])
if (home / "refuses").exists():
    sys.exit((home / "refuses").read_text())
word = sys.argv[2]
if word == "show-environment":
    print("HELD_BY_THE_INSTANCE=1")
    print(*(f"{name}=x" for name in os.environ if name.startswith("BM_SERVER")))
elif word == "show":
    show()
elif word == "start" and not pid():
    (home / "code").unlink(missing_ok=True)
    devnull = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    subprocess.Popen([sys.executable, __file__, "keep", sys.argv[3]], start_new_session=True, **devnull)
    while not pid() and not (home / "code").exists():
        time.sleep(0.01)
elif word == "reload":
    sys.exit(reload(sys.argv[3]))
elif word == "stop" and pid():
    os.kill(pid(), signal.SIGTERM)
    while pid():
        time.sleep(0.01)
"""
"""Runs one unit at a time, and really runs it; it starts nothing again by itself."""

LAUNCHCTL = """
import json, pathlib, sys

home = pathlib.Path(__file__).parent
with (home / "calls").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if (home / "refuses").exists():
    sys.exit((home / "refuses").read_text())
loaded = home / "loaded"
match sys.argv[1:]:
    case ["print", target] if target.count("/") == 1:
        print("session = Aqua")
    case ["print", target]:
        if not loaded.exists():
            sys.exit(113)
        print(loaded.read_text())
    case ["bootstrap", _, file]:
        loaded.write_text(f"path = {file}\\n\\tstate = not running\\n\\tlast exit code = (never exited)")
    case ["kickstart", _]:
        loaded.write_text("\\tstate = running\\n\\tpid = 4711\\n\\tlast exit code = (never exited)\\n\\t\\tstate = x")
    case ["bootout", _]:
        loaded.unlink()
    case ["getenv", "HELD_BY_THE_SESSION"]:
        print("1")
"""

SCHTASKS = """
import json, pathlib, sys

home = pathlib.Path(__file__).parent
with (home / "calls").open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if (home / "refuses").exists():
    sys.exit((home / "refuses").read_text())
task = home / "task"
match sys.argv[1]:
    case "/Create":
        task.touch()
    case "/Delete":
        task.unlink()
    case "/Query" if not task.exists():
        sys.exit("ERROR: The system cannot find the file specified.")
"""


class Tool(NamedTuple):
    """A stand-in, and where it keeps its notes."""

    folder: Path

    def calls(self) -> list[list[str]]:
        """The words it was called with, call by call."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def refuse(self, words: str) -> None:
        """Fail from now on, with these words."""
        (self.folder / "refuses").write_text(words)


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str) -> Tool:
    """Put a stand-in before everything else on PATH, with a home folder in which nothing is installed yet."""
    folder = tmp_path / "tools"
    folder.mkdir()
    script = folder / name
    script.write_text(f"#!{sys.executable}\n{code}")
    script.chmod(0o700)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return Tool(folder)
