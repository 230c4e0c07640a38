"""The launchd agent and calls of `launchctl`."""

from __future__ import annotations

import os
import plistlib
import sys

import pytest

from bm.daemon.service.launchd import Launchd
from bm.daemon.service.manager import ServiceError, State, Unavailable
from tests.daemon.service.support import GOLDEN, ODD, unit
from tests.support.managers import Tool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no launchd")


def test_the_agent() -> None:
    assert Launchd().definition(unit()).decode() == (GOLDEN / "plain.plist").read_text()


def test_special_characters_in_a_path_survive() -> None:
    written = Launchd().definition(unit(odd=True))
    content = plistlib.loads(written)
    assert (content["WorkingDirectory"], content["EnvironmentVariables"]["BM_HOME"]) == (ODD, ODD)
    assert Launchd().interpreter(written) == unit(odd=True).interpreter


@pytest.mark.parametrize("content", [b"", b"<plist>", plistlib.dumps({}), plistlib.dumps([])])
def test_a_file_that_names_no_interpreter(content: bytes) -> None:
    assert Launchd().interpreter(content) == ""


def test_calls(launchctl: Tool) -> None:
    domain, target = f"gui/{os.getuid()}", f"gui/{os.getuid()}/better-manager"
    file = Launchd().file(unit())
    Launchd().register(unit())
    Launchd().start(unit())
    Launchd().stop(unit())
    asked = [call for call in launchctl.calls() if call[0] != "print"]
    assert asked == [
        ["enable", target],
        ["bootstrap", domain, str(file)],
        ["kickstart", target],
        ["bootout", target],
    ]


def test_a_loaded_job_is_not_loaded_again(launchctl: Tool) -> None:
    Launchd().start(unit())
    Launchd().start(unit())
    assert [call[0] for call in launchctl.calls()].count("bootstrap") == 1


def test_the_job_is_unloaded_before_its_file_is_removed(launchctl: Tool) -> None:
    file = Launchd().file(unit())
    file.parent.mkdir(parents=True)
    file.write_bytes(Launchd().definition(unit()))
    Launchd().start(unit())
    assert Launchd().forget(unit()) == [file]
    assert not file.exists() and not Launchd().state(unit()).known
    assert Launchd().forget(unit()) == []


def test_state(launchctl: Tool) -> None:
    assert Launchd().state(unit()) == State(words="not loaded")
    Launchd().start(unit())
    assert Launchd().state(unit()) == State(words="running", known=True, running=True, pid=4711)
    (launchctl.folder / "loaded").write_text("\tstate = spawn scheduled\n\tlast exit code = 2\n")
    failed = State(words="spawn scheduled", known=True, failed=True, exit_code=2)
    assert Launchd().state(unit()) == failed


def test_a_refused_start_is_an_error(launchctl: Tool) -> None:
    launchctl.refuse("Bootstrap failed: 5: Input/output error")
    with pytest.raises(ServiceError, match="Input/output error"):
        Launchd().start(unit())


def test_without_a_session_the_error_says_what_to_do(launchctl: Tool) -> None:
    Launchd().check()
    launchctl.refuse("Domain does not support specified action")
    with pytest.raises(Unavailable, match="log in at the screen"):
        Launchd().check()


def test_variables_of_the_service(launchctl: Tool) -> None:
    assert Launchd().knows(unit(), ("HELD_BY_THE_SESSION", "ELSEWHERE")) == {"HELD_BY_THE_SESSION"}


def test_when_it_starts() -> None:
    assert Launchd().when().startswith("when you log in")
