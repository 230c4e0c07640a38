"""Starting and stopping through an installed service."""

from __future__ import annotations

import os
import sys

import pytest

from bm.config.files import locked
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.client import find
from bm.daemon.restart import restart
from bm.daemon.service.launchd import Launchd
from bm.daemon.service.manager import unit_of
from bm.daemon.service.scheduler import Scheduler
from bm.daemon.service.supervisor import Supervisor, supervisor, this_manager
from bm.daemon.service.systemd import Systemd
from bm.daemon.start import StartError, start
from bm.daemon.stop import stop
from tests.daemon.support import daemon
from tests.support.managers import Tool

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="driven by a stand-in for systemctl")


@pytest.fixture
def service(systemctl: Tool, paths: Paths) -> Supervisor:
    """An installed service that is not running."""
    make_folders(paths)
    unit = unit_of(paths, os.environ, 0)
    file = Systemd().file(unit)
    file.parent.mkdir(parents=True)
    file.write_bytes(Systemd().definition(unit))
    found = supervisor(paths)
    assert found is not None
    return found


def asked(systemctl: Tool) -> list[str]:
    """The calls that change something."""
    return [call[1] for call in systemctl.calls() if call[1] in ("start", "stop", "reload")]


def test_without_a_file_there_is_no_service(systemctl: Tool, paths: Paths) -> None:
    assert supervisor(paths) is None
    start(paths)
    stop(paths, 30)
    assert systemctl.calls() == []


def test_the_service_starts_the_daemon_and_does_not_restart_it_after_a_stop(
    service: Supervisor, systemctl: Tool, paths: Paths
) -> None:
    started = start(paths)
    assert (started.already, started.note) == (False, "")
    assert service.manager.state(service.unit).pid == started.daemon.pid
    assert start(paths).already
    ended = stop(paths, 30)
    assert ended is not None and ended.how == "asked"
    assert asked(systemctl) == ["start", "stop"]
    assert stop(paths, 30) is None
    assert asked(systemctl) == ["start", "stop", "stop"]


def test_an_invalid_setting_stops_the_service(service: Supervisor, systemctl: Tool, paths: Paths) -> None:
    paths.config.write_text("[server]\nprot = 1\n[pool]\nmax_wiat = 2\n")
    with pytest.raises(StartError) as caught:
        start(paths)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{paths.config}:2", f"{paths.config}:4"]
    assert caught.value.usage
    assert asked(systemctl) == ["start", "stop"]


def test_other_reasons_are_reported(service: Supervisor, paths: Paths) -> None:
    paths.config.write_text('[server]\nhost = "192.0.2.1"\n')
    with pytest.raises(StartError, match=r"^192\.0\.2\.1 is not an address of this machine") as caught:
        start(paths)
    assert not caught.value.usage


def test_a_daemon_that_dies_without_a_reason_is_explained_by_its_log(service: Supervisor, paths: Paths) -> None:
    file = service.manager.file(service.unit)
    file.write_text(file.read_text().replace("-m bm start", "-m no_such_module"))
    with pytest.raises(StartError, match="the daemon ended while it was starting"):
        start(paths)


def test_a_missing_interpreter_is_reported(service: Supervisor, systemctl: Tool, paths: Paths) -> None:
    file = service.manager.file(service.unit)
    file.write_text(file.read_text().replace(sys.executable, "/no/such/python"))
    with pytest.raises(StartError, match=r"runs /no/such/python, which no longer exists: bm service install"):
        start(paths)
    assert asked(systemctl) == []


def test_it_starts_without_a_manager_that_cannot_be_reached(service: Supervisor, systemctl: Tool, paths: Paths) -> None:
    systemctl.refuse("Failed to connect to bus")
    started = start(paths)
    assert started.note.startswith("started without its service: systemd ")
    assert runtime.same_process(started.daemon)
    ended = stop(paths, 30)
    assert ended is not None
    assert asked(systemctl) == []


def test_it_waits_for_a_daemon_that_is_starting_without_the_service(service: Supervisor, paths: Paths) -> None:
    with locked(paths.lock), pytest.raises(StartError, match="another bm process has not ended yet"):
        start(paths, limit=4)


@pytest.mark.parametrize(("platform", "kind"), [("linux", Systemd), ("darwin", Launchd), ("win32", Scheduler)])
def test_each_system_has_its_manager(monkeypatch: pytest.MonkeyPatch, platform: str, kind: type) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert type(this_manager()) is kind


def test_a_restart_reloads_the_unit(service: Supervisor, systemctl: Tool, paths: Paths) -> None:
    old = start(paths).daemon
    assert restart(paths, os.environ, 30).handed_over == old
    assert asked(systemctl) == ["start", "reload"]


def test_a_restart_that_fails_says_why_and_leaves_the_daemon_alone(service: Supervisor, paths: Paths) -> None:
    old = start(paths).daemon
    paths.config.write_text("[server]\nprot = 1\n")
    with pytest.raises(StartError, match=r"server\.prot"):
        restart(paths, os.environ, 30)
    found = find(paths)
    assert found and found.answers and found.daemon == old


def test_where_the_manager_cannot_hand_over_the_daemon_is_stopped_and_started(
    service: Supervisor, systemctl: Tool, paths: Paths
) -> None:
    file = Systemd().file(service.unit)
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "ExecReload" not in line))
    old = start(paths).daemon
    done = restart(paths, os.environ, 30)
    assert done.stopped is not None and done.stopped.daemon == old
    assert done.note == "the service was installed by an earlier bm (bm service install)"
    assert asked(systemctl) == ["start", "stop", "start"]


def test_a_daemon_outside_of_the_service_is_stopped_for_it(service: Supervisor, systemctl: Tool, paths: Paths) -> None:
    file, content = Systemd().file(service.unit), Systemd().file(service.unit).read_bytes()
    file.unlink()
    start(paths)
    file.write_bytes(content)
    done = restart(paths, os.environ, 30)
    assert done.note == "systemd does not run the present daemon"
    assert service.manager.state(service.unit).pid == done.started.daemon.pid


def test_launchd_cannot_hand_over(paths: Paths, launchctl: Tool) -> None:
    unit = unit_of(paths, os.environ, 0)
    line = Supervisor(Launchd(), unit, Launchd().definition(unit)).hand_over(paths, daemon())
    assert line and (line.cause, line.message) == ("handover", "launchd cannot start the next daemon beside it")
