"""`bm service`, and what the other commands say of an installed service."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.daemon import runtime
from tests.cli.conftest import Bm
from tests.support.managers import SYSTEMCTL, Tool, install

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="driven by a stand-in for systemctl")


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A `systemctl` that runs the unit it is asked to start."""
    return install(tmp_path, monkeypatch, "systemctl", SYSTEMCTL)


def test_install_shows_what_it_writes_and_where(bm: Bm, systemctl: Tool, paths: Paths) -> None:
    ran = bm("service", "install")
    assert (ran.code, ran.err) == (0, "")
    daemon = runtime.read(paths.runtime)
    assert daemon is not None
    file, said = ran.out.splitlines()[0].split(": ")
    assert said == "written"
    shown = "".join(f"  {line}".rstrip() + "\n" for line in Path(file).read_text().splitlines())
    assert ran.out.startswith(f"{file}: written\n{shown}bm is running at {daemon.url} (pid {daemon.pid})\n")
    again = bm("service", "install")
    assert again.out.startswith(f"{file}: up to date\nbm is running at {daemon.url} (pid {daemon.pid})\n")


def test_status(bm: Bm, systemctl: Tool, paths: Paths) -> None:
    assert bm("service", "status") == (3, "no service is installed (bm service install)\n", "")
    assert bm("service", "status", "--json").json["installed"] is False
    bm("service", "install")
    ran = bm("service", "status")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["service", "file", "state", "starts", "runs"]
    daemon = runtime.read(paths.runtime)
    assert daemon is not None
    fields = bm("service", "status", "--json").json
    assert (fields["installed"], fields["running"], fields["pid"]) == (True, True, daemon.pid)
    assert (fields["manager"], fields["state"], fields["interpreter"]) == (
        "systemd",
        "active (running)",
        sys.executable,
    )
    bm("stop")
    assert bm("service", "status").code == 3


def test_status_of_a_service_that_failed(bm: Bm, systemctl: Tool) -> None:
    bm("service", "install")
    bm("stop")
    (systemctl.folder / "code").write_text("1")
    ran = bm("service", "status")
    assert ran.code == 1
    assert ran.err == "note: it has failed with exit code 1 (bm logs shows why, bm start tries again)\n"
    assert bm("status").err == f"note: the service: {ran.err.removeprefix('note: ')}"
    rows = [each for each in bm("doctor", "--json").json["checks"] if each["check"] == "service"]
    assert [row["result"] for row in rows] == ["failed"]


def test_status_and_doctor_name_it(bm: Bm, systemctl: Tool) -> None:
    assert bm("status", "--json").json["service"] is None
    bm("service", "install")
    name = bm("service", "status", "--json").json["name"]
    assert f"service    {name} of systemd" in bm("status").out
    assert bm("status", "--json").json["service"] == name
    rows = [each for each in bm("doctor", "--json").json["checks"] if each["check"] == "service"]
    assert [(row["result"], row["detail"]) for row in rows] == [("ok", f"{name} of systemd")]


def test_start_stop_and_restart_use_the_service(bm: Bm, systemctl: Tool, paths: Paths) -> None:
    bm("service", "install")
    first = runtime.read(paths.runtime)
    assert bm("restart").code == 0
    second = runtime.read(paths.runtime)
    assert first is not None and second is not None and second.pid != first.pid
    assert bm("service", "status", "--json").json["pid"] == second.pid
    assert bm("stop") == (0, f"bm has stopped (pid {second.pid})\n", "")
    assert bm("start").code == 0
    assert bm("service", "status", "--json").json["running"] is True


def test_start_says_when_the_service_is_unreachable(bm: Bm, systemctl: Tool) -> None:
    bm("service", "install")
    bm("stop")
    systemctl.refuse("Failed to connect to bus")
    ran = bm("start")
    assert ran.code == 0
    assert ran.err.startswith("note: started without its service: systemd ")


def test_uninstall(bm: Bm, systemctl: Tool, paths: Paths) -> None:
    file = bm("service", "install").out.split(":")[0]
    daemon = runtime.read(paths.runtime)
    assert daemon is not None
    assert bm("service", "uninstall") == (
        0,
        f"bm has stopped (pid {daemon.pid}); bm start starts it without the service\n{file}: removed\n",
        "",
    )
    assert bm("service", "uninstall") == (0, "no service is installed\n", "")
    assert bm("status").code == 3


def test_without_a_manager_it_says_what_to_do(bm: Bm, systemctl: Tool) -> None:
    systemctl.refuse("Failed to connect to bus: No medium found")
    ran = bm("service", "install")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: systemd ")
