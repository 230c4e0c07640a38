"""Installing, inspecting and removing the service, and the variables it needs."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import pytest

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credentials import ensure_local_key, update
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.service.install import inspect, install, needed_variables, uninstall
from bm.daemon.service.manager import Unavailable
from bm.daemon.start import start
from bm.daemon.stop import stop
from bm.errors import ConfigError
from tests.support.managers import Tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="driven by a stand-in for systemctl")


def no_matter(seconds: float) -> None:
    """Wait without output."""


def problems(paths: Paths) -> list[str]:
    return [each.detail for each in inspect(paths, os.environ).problems]


def files(systemctl: Tool) -> list[str]:
    """Every file in the user's home."""
    home = systemctl.folder.parent / "home"
    return [str(file.relative_to(home)) for file in home.rglob("*") if not file.is_dir()]


def test_installing_again_changes_nothing(systemctl: Tool, paths: Paths) -> None:
    first = install(paths, os.environ, no_matter)
    assert (first.written, first.replaced) == (True, None)
    assert files(systemctl) == [f".config/systemd/user/{first.file.name}"]
    service = inspect(paths, os.environ)
    assert service.state is not None and service.state.pid == first.daemon.pid
    assert (service.installed, service.interpreter, service.problems) == (True, sys.executable, ())
    again = install(paths, os.environ, no_matter)
    assert (again.written, again.replaced, again.daemon) == (False, None, first.daemon)


def test_it_replaces_a_running_daemon(systemctl: Tool, paths: Paths) -> None:
    before = start(paths).daemon
    done = install(paths, os.environ, no_matter)
    assert done.replaced is not None
    assert (done.replaced.daemon, done.replaced.how) == (before, "asked")
    assert runtime.same_process(before) is None
    assert runtime.read(paths.runtime) == done.daemon


def test_a_changed_definition_takes_effect(systemctl: Tool, paths: Paths) -> None:
    first = install(paths, os.environ, no_matter)
    done = install(paths, {**os.environ, "PATH": f"{os.environ['PATH']}:/more"}, no_matter)
    assert done.written and done.daemon.pid != first.daemon.pid


def test_nothing_changes_if_the_daemon_could_not_start(systemctl: Tool, paths: Paths) -> None:
    before = start(paths).daemon
    paths.config.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError):
        install(paths, os.environ, no_matter)
    assert runtime.same_process(before)
    assert files(systemctl) == []


def test_nothing_changes_without_a_manager(systemctl: Tool, paths: Paths) -> None:
    systemctl.refuse("Failed to connect to bus")
    with pytest.raises(Unavailable):
        install(paths, os.environ, no_matter)
    assert files(systemctl) == []


def test_the_definition_contains_no_key(systemctl: Tool, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_GEMINI", "planted-key-0123456789")
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key="env:MY_GEMINI")))
    done = install(paths, os.environ, no_matter)
    assert b"planted" not in done.content
    (problem,) = inspect(paths, os.environ).problems
    assert problem.detail == "it lacks variables that are set here: MY_GEMINI"
    assert str(paths.config.parent / "service.env") in problem.remedy
    (paths.config.parent / "service.env").write_text("MY_GEMINI=planted-key-0123456789\n")
    assert problems(paths) == []


def test_uninstall_removes_all_files_and_stops_the_daemon(systemctl: Tool, paths: Paths) -> None:
    done = install(paths, os.environ, no_matter)
    removed, ended = uninstall(paths, 5, no_matter)
    assert removed == [done.file]
    assert ended is not None and ended.daemon == done.daemon
    assert files(systemctl) == []
    assert uninstall(paths, 5, no_matter) == ([], None)
    assert not inspect(paths, os.environ).installed


def test_uninstall_does_not_stop_a_daemon_started_without_the_service(systemctl: Tool, paths: Paths) -> None:
    done = install(paths, os.environ, no_matter)
    stop(paths, 5)
    hidden = done.file.rename(systemctl.folder / "unit")
    own = start(paths).daemon
    hidden.rename(done.file)
    assert problems(paths) == [f"the daemon with pid {own.pid} was started without it"]
    removed, ended = uninstall(paths, 5, no_matter)
    assert (removed, ended) == ([done.file], None)
    assert runtime.same_process(own)


def test_uninstall_removes_the_file_when_the_manager_cannot_be_reached(systemctl: Tool, paths: Paths) -> None:
    done = install(paths, os.environ, no_matter)
    stop(paths, 5)
    systemctl.refuse("Failed to connect to bus")
    assert uninstall(paths, 5, no_matter) == ([done.file], None)


def test_problems_are_reported(systemctl: Tool, paths: Paths, tmp_path: Path) -> None:
    done = install(paths, os.environ, no_matter)
    stop(paths, 5)
    (systemctl.folder / "code").write_text("1")
    assert problems(paths) == ["it has failed with exit code 1"]
    (systemctl.folder / "disabled").touch()
    assert problems(paths) == ["it is disabled and does not start by itself"]
    (systemctl.folder / "disabled").unlink()
    other = tmp_path / "python"
    for there in (False, True):
        done.file.write_bytes(done.content.replace(sys.executable.encode(), str(other).encode()))
        moved = f"it runs the bm of {other}, not that of {sys.executable}"
        assert problems(paths)[0] == (moved if there else f"it runs {other}, which no longer exists")
        other.touch()
    systemctl.refuse("Failed to connect to bus")
    assert inspect(paths, os.environ).problems[-1].remedy == "bm start works without it"


def test_an_invalid_configuration_is_reported(systemctl: Tool, paths: Paths) -> None:
    install(paths, os.environ, no_matter)
    paths.config.write_text("[[[")
    (problem,) = inspect(paths, os.environ).problems
    assert problem.detail.startswith(f"{paths.config}:1")


def keep(paths: Paths, account: Account) -> None:
    update(paths.accounts, lambda stored: stored.add(account))


def test_variables_of_settings_and_keys_are_needed(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\napi_key = "env:MY_GROQ"\n')
    keep(paths, Account(name="one", key="env:MY_GEMINI"))
    keep(paths, Account(name="two", key="a-key-of-some-kind"))
    environ = {"BM_POOL_MAX_WAIT": "3", "GEMINI_ENABLED": "true", "OTHER": "1"}
    assert needed_variables(paths, environ) == ["BM_POOL_MAX_WAIT", "GEMINI_ENABLED", "MY_GEMINI", "MY_GROQ"]


def test_unused_keys_are_not_needed(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\napi_key = "env:MY_GROQ"\n')
    keep(paths, Account(name="one", key="env:MY_GEMINI", enabled=False))
    assert needed_variables(paths, {"TOGETHER_API_KEY": "planted-key"}) == []


def test_a_classic_key_is_needed_if_its_provider_is_enabled(paths: Paths) -> None:
    make_folders(paths)
    assert needed_variables(paths, {"GROQ_API_KEY": "planted-key"}) == []
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\n')
    assert needed_variables(paths, {"GROQ_API_KEY": "planted-key"}) == ["GROQ_API_KEY"]


def test_bms_own_key_is_not_needed(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\n')
    assert needed_variables(paths, {"GROQ_API_KEY": ensure_local_key(paths.accounts)}) == []


def test_what_opens_the_database_and_its_seal_is_needed(paths: Paths, database: str) -> None:
    seal = base64.b64encode(b"o" * 32).decode()
    environ = {"PGPASSWORD": "password-of-the-tests", "TEAM_SEAL": seal, "BM_LEDGER_URL": database, "OTHER": "1"}
    assert needed_variables(paths, environ) == ["BM_LEDGER_URL", "PGPASSWORD"]
    paths.config.write_text('[shared]\nseal = "env:TEAM_SEAL"\n')
    assert needed_variables(paths, environ) == ["BM_LEDGER_URL", "PGPASSWORD", "TEAM_SEAL"]


def test_proxy_variables_are_needed(paths: Paths) -> None:
    environ = {"HTTPS_PROXY": "http://proxy", "no_proxy": "example.com", "FTP_PROXY": "http://other"}
    assert needed_variables(paths, environ) == ["HTTPS_PROXY", "no_proxy"]
    assert needed_variables(paths, {"no_proxy": "example.com"}) == []


def test_google_credentials_and_client_secrets_are_needed(paths: Paths) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": "/a/file"}
    assert needed_variables(paths, environ) == []
    keep(paths, Account(name="here", kind="adc", project="mine", location="global"))
    client = OAuthClient(id="mine", secret="env:MY_CLIENT")
    keep(paths, Account(name="me", kind="google_oauth", key="refresh-token", client=client))
    assert needed_variables(paths, environ) == ["GOOGLE_APPLICATION_CREDENTIALS", "MY_CLIENT"]


def test_invalid_settings_are_an_error(paths: Paths) -> None:
    paths.config.write_text("[[[")
    with pytest.raises(ConfigError):
        needed_variables(paths, {})
