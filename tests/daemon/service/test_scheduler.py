"""The Windows task and calls of `schtasks`."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from bm.daemon.service.manager import ServiceError
from bm.daemon.service.scheduler import Scheduler
from tests.daemon.service.support import GOLDEN, unit
from tests.support.managers import Tool

posix = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")


@pytest.fixture(autouse=True)
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose name does not depend on the machine."""
    monkeypatch.setenv("LOGNAME", "you & co")
    monkeypatch.setenv("USERDOMAIN", "HOST")


def test_the_task() -> None:
    written = Scheduler().definition(unit(odd=True))
    assert written.startswith((b"\xff\xfe", b"\xfe\xff"))
    assert written.decode("utf-16") == (GOLDEN / "odd.xml").read_text()


def test_it_is_valid_and_names_its_interpreter() -> None:
    for odd in (False, True):
        written = Scheduler().definition(unit(odd=odd))
        assert ElementTree.fromstring(written).tag.endswith("}Task")
        assert Scheduler().interpreter(written) == unit(odd=odd).interpreter


def test_it_opens_no_window_if_pythonw_exists(tmp_path: Path) -> None:
    (tmp_path / "pythonw.exe").touch()
    here = msgspec.structs.replace(unit(), interpreter=str(tmp_path / "python.exe"))
    assert Scheduler().interpreter(Scheduler().definition(here)) == str(tmp_path / "pythonw.exe")


@pytest.mark.parametrize("content", [b"", b"<Task>", b"<Task/>"])
def test_a_file_that_names_no_interpreter(content: bytes) -> None:
    assert Scheduler().interpreter(content) == ""


@posix
def test_calls(schtasks: Tool, tmp_path: Path) -> None:
    here = msgspec.structs.replace(unit(), folder=tmp_path)
    file = Scheduler().file(here)
    file.write_bytes(Scheduler().definition(here))
    assert not Scheduler().state(here).known
    Scheduler().register(here)
    assert Scheduler().state(here).known
    Scheduler().start(here)
    Scheduler().stop(here)
    assert Scheduler().forget(here) == [file]
    assert Scheduler().forget(here) == []
    asked = [call for call in schtasks.calls() if call[0] != "/Query"]
    assert asked == [
        ["/Create", "/TN", "better-manager", "/XML", str(file), "/F"],
        ["/Run", "/TN", "better-manager"],
        ["/Delete", "/TN", "better-manager", "/F"],
    ]


@posix
def test_a_refused_task_is_an_error(schtasks: Tool) -> None:
    schtasks.refuse("ERROR: Access is denied.")
    with pytest.raises(ServiceError, match=r"Access is denied\.$"):
        Scheduler().register(unit())
