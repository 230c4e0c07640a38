"""What a service is called, and what it is given."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.daemon.service import manager
from bm.daemon.service.manager import Ran, ServiceError, Unavailable, name_of, run_checked, run_tool, unit_of


def test_the_default_paths_have_the_plain_name_and_each_other_home_its_own() -> None:
    names = [name_of(Paths.default({})), name_of(Paths.under(Path("/a"))), name_of(Paths.under(Path("/b")))]
    assert names[0] == "better-manager"
    assert len(set(names)) == 3
    assert name_of(Paths.under(Path("/a"))) == names[1]


def test_the_environment_contains_only_home_and_path() -> None:
    environ = {"BM_HOME": "/a", "PATH": "/bin", "GROQ_API_KEY": "planted", "HTTPS_PROXY": "http://me:planted@proxy"}
    unit = unit_of(Paths.default(environ), environ, 30)
    assert unit.environment == {"BM_HOME": str(Path("/a").absolute()), "PATH": "/bin"}


def test_without_a_home_the_environment_contains_the_platforms_folders() -> None:
    environ = {"XDG_STATE_HOME": "/state", "PATH": "/bin"}
    assert unit_of(Paths.default({}), environ, 30).environment == {"PATH": "/bin", "XDG_STATE_HOME": "/state"}


def test_it_runs_the_current_python_and_waits_for_streams() -> None:
    unit = unit_of(Paths.default({}), {}, 30)
    assert unit.command == (sys.executable, "-P", "-m", "bm", "start", "--foreground")
    assert unit.grace > 30


def test_the_output_of_a_tool() -> None:
    code = "import sys; print(' one\\n two '); sys.stderr.write(''); sys.exit(3)"
    assert run_tool(sys.executable, "-c", code) == Ran(3, " one\n two \n", "")
    assert run_tool(sys.executable, "-c", code).words == "one two"


def test_a_failing_tool_is_an_error() -> None:
    assert run_checked(sys.executable, "-c", "print(1)").out == "1\n"
    with pytest.raises(ServiceError, match=r"-c raise SystemExit.*: no such thing$"):
        run_checked(sys.executable, "-c", "raise SystemExit('no such thing')")


def test_a_missing_tool_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is not on PATH"):
        run_tool(str(tmp_path / "none"))


def test_a_tool_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "_PATIENCE", 0.2)
    with pytest.raises(ServiceError, match=r"has not ended within 0\.2 seconds"):
        run_tool(sys.executable, "-c", "import time; time.sleep(60)")
