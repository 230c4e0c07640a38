"""What a service is called, and what it is given."""

from __future__ import annotations

import sys
from pathlib import Path

from bm.config.paths import Paths
from bm.daemon.service.unit import name_of, unit_of


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
