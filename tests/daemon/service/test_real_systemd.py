"""The service under a real systemd in a mount namespace, where the machine permits it: by root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bm.config.paths import Paths

SYSTEMD = next(
    (file for file in map(Path, ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")) if file.exists()), None
)

INSTANCE = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/user/0
chmod 700 /run/user/0
export XDG_RUNTIME_DIR=/run/user/0
"$SYSTEMD" --user >/dev/null 2>&1 &
instance=$!
code=9
for _ in $(seq 100); do
    if systemctl --user show-environment >/dev/null 2>&1; then
        code=0
        break
    fi
    sleep 0.1
done
[ $code = 9 ] || "$@" || code=1
systemctl --user exit >/dev/null 2>&1 || kill $instance
wait $instance || true
exit $code
"""
"""An instance that sees a booted system; its mounts disappear with it. Exit code 9: no instance."""

LIFE = """
import contextlib, os, signal, time
from bm.cli import main as command
from bm.config.paths import Paths
from bm.daemon.service.supervisor import this_manager
from bm.daemon.service.manager import unit_of
from bm.daemon.client import find

def main(words):
    with contextlib.redirect_stdout(open(paths.log.with_name("printed"), "w")):
        return command(words)

paths = Paths.default()
unit = unit_of(paths, os.environ, 0)

def running():
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        found = find(paths)
        if found and found.answers:
            return found.daemon.pid
        time.sleep(0.1)
    raise AssertionError("no daemon answers")

assert main(["start"]) == 0
first = running()
assert main(["service", "install"]) == 0
second = running()
assert this_manager().state(unit).pid == second != first

os.kill(second, signal.SIGKILL)
while (found := find(paths)) and found.daemon.pid == second:
    time.sleep(0.1)
assert running() != second, "it did not come back"

assert main(["stop"]) == 0
time.sleep(2.5)  # longer than systemd waits before it starts a service that has failed
assert find(paths) is None and this_manager().state(unit).words == "inactive (dead)"

assert main(["restart"]) == 0
before = running()
assert this_manager().state(unit).pid == before

assert main(["restart"]) == 0
third = running()
assert f"taken over from the previous daemon (pid {before})" in paths.log.with_name("printed").read_text()
while os.path.exists(f"/proc/{before}"):
    time.sleep(0.1)
time.sleep(0.5)
assert this_manager().state(unit).pid == third != before, "systemd follows the daemon that has taken over"
assert this_manager().state(unit).running

os.kill(third, signal.SIGKILL)
while (found := find(paths)) and found.daemon.pid == third:
    time.sleep(0.1)
third = running()
assert this_manager().state(unit).pid == third, "the daemon that has taken over is started again after a crash"
os.kill(third, signal.SIGSTOP)
assert main(["stop", "--now"]) == 0
time.sleep(2.5)
assert find(paths) is None, "a daemon that was ended by force came back"

paths.config.write_text("[server]\\nprot = 1\\n")
assert main(["start"]) == 2
paths.config.write_text("[server]\\nport = 0\\n")
assert main(["start"]) == 0
assert main(["service", "uninstall"]) == 0
assert find(paths) is None and not this_manager().file(unit).exists()
"""


def can_run() -> bool:
    """Whether a mount namespace and systemd are available here."""
    if sys.platform != "linux" or os.geteuid() or not SYSTEMD or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_run(), reason="needs systemd, and root for a mount namespace")
def test_install_crash_stop_and_uninstall(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BM_SERVER_PORT")
    odd = tmp_path / 'it\'s 100% of "my" $files [x]'
    odd.mkdir()
    (odd / "config.toml").write_text("[server]\nport = 0\n")
    environ = {**os.environ, "BM_HOME": str(odd), "HOME": str(tmp_path), "SYSTEMD": str(SYSTEMD)}
    command = ["unshare", "-m", "bash", "-c", INSTANCE, "bash", sys.executable, "-c", LIFE]
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if ran.returncode == 9:
        pytest.skip("systemd gives no instance here")
    assert ran.returncode == 0, ran.stdout + ran.stderr
