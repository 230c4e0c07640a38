"""The tools of managers, as they are run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bm.daemon.service import manager
from bm.daemon.service.launchd import Launchd
from bm.daemon.service.manager import Ran, ServiceError, Unavailable, insist, this_manager, tool
from bm.daemon.service.scheduler import Scheduler
from bm.daemon.service.systemd import Systemd


def test_a_tool_says_something_and_ends() -> None:
    code = "import sys; print(' one\\n two '); sys.stderr.write(''); sys.exit(3)"
    assert tool(sys.executable, "-c", code) == Ran(3, " one\n two \n", "")
    assert tool(sys.executable, "-c", code).words == "one two"


def test_a_tool_that_must_succeed() -> None:
    assert insist(sys.executable, "-c", "print(1)").out == "1\n"
    with pytest.raises(ServiceError, match=r"-c raise SystemExit.*: no such thing$"):
        insist(sys.executable, "-c", "raise SystemExit('no such thing')")


def test_a_tool_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is not on PATH"):
        tool(str(tmp_path / "none"))


def test_a_tool_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "_PATIENCE", 0.2)
    with pytest.raises(ServiceError, match=r"has not ended within 0\.2 seconds"):
        tool(sys.executable, "-c", "import time; time.sleep(60)")


@pytest.mark.parametrize(("platform", "kind"), [("linux", Systemd), ("darwin", Launchd), ("win32", Scheduler)])
def test_each_system_has_its_manager(monkeypatch: pytest.MonkeyPatch, platform: str, kind: type) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert type(this_manager()) is kind
