"""What a service is called, and what it is given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.daemon.service import manager
from bm.daemon.service.manager import Ran, ServiceError, Unavailable, insist, name_of, tool, unit_of


def test_the_default_place_has_the_plain_name_and_each_other_home_its_own() -> None:
    names = [name_of(Paths.default({})), name_of(Paths.under(Path("/a"))), name_of(Paths.under(Path("/b")))]
    assert names[0] == "better-manager"
    assert len(set(names)) == 3
    assert name_of(Paths.under(Path("/a"))) == names[1]


def test_it_is_given_its_home_and_the_path_and_nothing_else() -> None:
    environ = {"BM_HOME": "/a", "PATH": "/bin", "GROQ_API_KEY": "planted", "HTTPS_PROXY": "http://me:planted@proxy"}
    unit = unit_of(Paths.default(environ), environ, 30)
    assert unit.environment == {"BM_HOME": str(Path("/a").absolute()), "PATH": "/bin"}


def test_without_a_home_it_is_given_where_the_platforms_folders_are() -> None:
    environ = {"XDG_STATE_HOME": "/state", "PATH": "/bin"}
    assert unit_of(Paths.default({}), environ, 30).environment == {"PATH": "/bin", "XDG_STATE_HOME": "/state"}


def test_it_runs_this_python_and_ends_after_its_streams() -> None:
    unit = unit_of(Paths.default({}), {}, 30)
    assert unit.command == (sys.executable, "-P", "-m", "bm", "start", "--foreground")
    assert unit.grace > 30


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
