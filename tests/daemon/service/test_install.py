"""A service is installed, found and removed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bm.accounts.account import Account, OAuthClient
from bm.accounts.credentials import ensure_local_key, update
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.service.install import inspect, install, needed, uninstall
from bm.daemon.service.manager import Unavailable
from bm.daemon.start import start
from bm.daemon.stop import stop
from bm.errors import ConfigError
from tests.support.managers import Tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="driven by a stand-in for systemctl")


def no_matter(seconds: float) -> None:
    """Wait without a word."""


def troubles(paths: Paths) -> list[str]:
    return [each.detail for each in inspect(paths, os.environ).troubles]


def files(systemctl: Tool) -> list[str]:
    """Every file in the person's home."""
    home = systemctl.folder.parent / "home"
    return [str(file.relative_to(home)) for file in home.rglob("*") if not file.is_dir()]


def test_it_runs_the_daemon_and_is_left_alone_when_installed_again(systemctl: Tool, paths: Paths) -> None:
    first = install(paths, os.environ, no_matter)
    assert (first.written, first.replaced) == (True, None)
    assert files(systemctl) == [f".config/systemd/user/{first.file.name}"]
    service = inspect(paths, os.environ)
    assert service.state is not None and service.state.pid == first.daemon.pid
    assert (service.installed, service.interpreter, service.troubles) == (True, sys.executable, ())
    again = install(paths, os.environ, no_matter)
    assert (again.written, again.replaced, again.daemon) == (False, None, first.daemon)


def test_it_takes_over_from_a_daemon_that_runs(systemctl: Tool, paths: Paths) -> None:
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


def test_nothing_is_done_where_the_daemon_would_not_start(systemctl: Tool, paths: Paths) -> None:
    before = start(paths).daemon
    paths.config.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError):
        install(paths, os.environ, no_matter)
    assert runtime.same_process(before)
    assert files(systemctl) == []


def test_nothing_is_done_where_there_is_no_manager(systemctl: Tool, paths: Paths) -> None:
    systemctl.refuse("Failed to connect to bus")
    with pytest.raises(Unavailable):
        install(paths, os.environ, no_matter)
    assert files(systemctl) == []


def test_it_holds_no_key(systemctl: Tool, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_GEMINI", "planted-key-0123456789")
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key="env:MY_GEMINI")))
    done = install(paths, os.environ, no_matter)
    assert b"planted" not in done.content
    (trouble,) = inspect(paths, os.environ).troubles
    assert trouble.detail == "it lacks variables that bm goes by here: MY_GEMINI"
    assert str(paths.config.parent / "service.env") in trouble.cure
    (paths.config.parent / "service.env").write_text("MY_GEMINI=planted-key-0123456789\n")
    assert troubles(paths) == []


def test_uninstall_removes_what_install_made_and_ends_its_daemon(systemctl: Tool, paths: Paths) -> None:
    done = install(paths, os.environ, no_matter)
    removed, ended = uninstall(paths, 5, no_matter)
    assert removed == [done.file]
    assert ended is not None and ended.daemon == done.daemon
    assert files(systemctl) == []
    assert uninstall(paths, 5, no_matter) == ([], None)
    assert not inspect(paths, os.environ).installed


def test_uninstall_leaves_a_daemon_alone_that_is_not_the_services(systemctl: Tool, paths: Paths) -> None:
    done = install(paths, os.environ, no_matter)
    stop(paths, 5)
    hidden = done.file.rename(systemctl.folder / "unit")
    own = start(paths).daemon
    hidden.rename(done.file)
    assert troubles(paths) == [f"the daemon with pid {own.pid} was started without it"]
    removed, ended = uninstall(paths, 5, no_matter)
    assert (removed, ended) == ([done.file], None)
    assert runtime.same_process(own)


def test_uninstall_removes_the_file_where_the_manager_cannot_be_asked(systemctl: Tool, paths: Paths) -> None:
    done = install(paths, os.environ, no_matter)
    stop(paths, 5)
    systemctl.refuse("Failed to connect to bus")
    assert uninstall(paths, 5, no_matter) == ([done.file], None)


def test_what_is_wrong_with_it(systemctl: Tool, paths: Paths, tmp_path: Path) -> None:
    done = install(paths, os.environ, no_matter)
    stop(paths, 5)
    (systemctl.folder / "code").write_text("1")
    assert troubles(paths) == ["it has failed with exit code 1"]
    (systemctl.folder / "disabled").touch()
    assert troubles(paths) == ["it is disabled, and does not start by itself"]
    (systemctl.folder / "disabled").unlink()
    other = tmp_path / "python"
    for there in (False, True):
        done.file.write_bytes(done.content.replace(sys.executable.encode(), str(other).encode()))
        moved = f"it runs the bm of {other}, and this is that of {sys.executable}"
        assert troubles(paths)[0] == (moved if there else f"it runs {other}, which is gone")
        other.touch()
    systemctl.refuse("Failed to connect to bus")
    assert inspect(paths, os.environ).troubles[-1].cure == "bm start works without it"


def test_an_unreadable_configuration_is_one_of_its_troubles(systemctl: Tool, paths: Paths) -> None:
    install(paths, os.environ, no_matter)
    paths.config.write_text("[[[")
    (trouble,) = inspect(paths, os.environ).troubles
    assert trouble.detail.startswith(f"{paths.config}:1")


def keep(paths: Paths, account: Account) -> None:
    update(paths.accounts, lambda stored: stored.add(account))


def test_settings_and_keys_that_are_in_variables(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\napi_key = "env:MY_GROQ"\n')
    keep(paths, Account(name="one", key="env:MY_GEMINI"))
    keep(paths, Account(name="two", key="a-key-of-some-kind"))
    environ = {"BM_POOL_MAX_WAIT": "3", "GEMINI_ENABLED": "true", "OTHER": "1"}
    assert needed(paths, environ) == ["BM_POOL_MAX_WAIT", "GEMINI_ENABLED", "MY_GEMINI", "MY_GROQ"]


def test_keys_that_nobody_uses_are_not_needed(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\napi_key = "env:MY_GROQ"\n')
    keep(paths, Account(name="one", key="env:MY_GEMINI", enabled=False))
    assert needed(paths, {"TOGETHER_API_KEY": "planted-key"}) == []


def test_a_key_in_a_classic_variable_is_needed_once_its_provider_is_used(paths: Paths) -> None:
    make_folders(paths)
    assert needed(paths, {"GROQ_API_KEY": "planted-key"}) == []
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\n')
    assert needed(paths, {"GROQ_API_KEY": "planted-key"}) == ["GROQ_API_KEY"]


def test_bms_own_key_is_for_tools(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\n')
    assert needed(paths, {"GROQ_API_KEY": ensure_local_key(paths.accounts)}) == []


def test_the_way_to_the_network(paths: Paths) -> None:
    environ = {"HTTPS_PROXY": "http://proxy", "no_proxy": "example.com", "FTP_PROXY": "http://other"}
    assert needed(paths, environ) == ["HTTPS_PROXY", "no_proxy"]
    assert needed(paths, {"no_proxy": "example.com"}) == []


def test_googles_own_credentials_and_the_secret_of_a_client(paths: Paths) -> None:
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": "/a/file"}
    assert needed(paths, environ) == []
    keep(paths, Account(name="here", kind="adc", project="mine", location="global"))
    client = OAuthClient(id="mine", secret="env:MY_CLIENT")
    keep(paths, Account(name="me", kind="google_oauth", key="refresh-token", client=client))
    assert needed(paths, environ) == ["GOOGLE_APPLICATION_CREDENTIALS", "MY_CLIENT"]


def test_settings_that_cannot_be_used(paths: Paths) -> None:
    paths.config.write_text("[[[")
    with pytest.raises(ConfigError):
        needed(paths, {})
