"""The Windows Task Scheduler: its XML schema (MS-TSCH 2.5) and schtasks.exe.

A task does not count as failed when its program fails, so Windows would not restart a crashed daemon. Therefore the
task only does what `bm start` does at each login, and the daemon is not its child process.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from bm.daemon.service.manager import DESCRIPTION, Manager, State, Unit, run_checked, run_tool

_SPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
TEMPLATE = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="{space}">
  <RegistrationInfo>
    <Description>{description}</Description>
  </RegistrationInfo>
  <Triggers>
    <LogonTrigger>
      <UserId>{user}</UserId>
    </LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{command}</Command>
      <Arguments>{arguments}</Arguments>
      <WorkingDirectory>{folder}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


class Scheduler(Manager):
    """Starts the daemon at each login, by a task of the user."""

    title = "Task Scheduler"
    supervises = False
    remedy = "setx NAME VALUE, or use file:PATH or keyring:NAME; then log in again"

    def file(self, unit: Unit) -> Path:
        """The definition of the task; the file exists while the task is registered."""
        return unit.folder / "service.xml"

    def definition(self, unit: Unit) -> bytes:
        """The XML of the task. `BM_HOME` is an argument, because tasks have no environment of their own."""
        home = unit.environment.get("BM_HOME")
        arguments = ["-P", "-m", "bm.daemon.start", *([home] if home else [])]
        words = {
            "description": DESCRIPTION,
            "user": _user(),
            "command": _windowless(unit.interpreter),
            "arguments": subprocess.list2cmdline(arguments),
            "folder": str(unit.folder),
        }
        return TEMPLATE.format(space=_SPACE, **{name: escape(word) for name, word in words.items()}).encode("utf-16")

    def interpreter(self, content: bytes) -> str:
        try:
            return ElementTree.fromstring(content).findtext(f".//{{{_SPACE}}}Command", "")
        except ElementTree.ParseError:
            return ""

    def check(self) -> None:
        """The Task Scheduler is always available."""

    def register(self, unit: Unit) -> None:
        run_checked("schtasks", "/Create", "/TN", unit.name, "/XML", str(self.file(unit)), "/F")

    def forget(self, unit: Unit) -> list[Path]:
        if self.state(unit).known:
            run_checked("schtasks", "/Delete", "/TN", unit.name, "/F")
        return super().forget(unit)

    def start(self, unit: Unit) -> None:
        run_checked("schtasks", "/Run", "/TN", unit.name)

    def stop(self, unit: Unit) -> None:
        """Nothing to stop: the daemon is not a process of the task."""

    def state(self, unit: Unit) -> State:
        ran = run_tool("schtasks", "/Query", "/TN", unit.name)
        return State(words="registered" if ran.code == 0 else "not registered", known=ran.code == 0)

    def when(self) -> str:
        return "when you log in; after a crash, bm start"

    def knows(self, unit: Unit, variables: Collection[str]) -> set[str]:
        return _user_variables().intersection(variables)


if sys.platform == "win32":

    def _user_variables() -> set[str]:
        import winreg

        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, "Environment") as key:
            return {winreg.EnumValue(key, number)[0] for number in range(winreg.QueryInfoKey(key)[1])}
else:

    def _user_variables() -> set[str]:
        return set()


def _windowless(interpreter: str) -> str:
    """The pythonw next to the interpreter, which opens no window."""
    path = Path(interpreter)
    other = path.with_name(path.name.replace("python", "pythonw", 1))
    return str(other if other.exists() else path)


def _user() -> str:
    domain = os.environ.get("USERDOMAIN")
    return f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()
